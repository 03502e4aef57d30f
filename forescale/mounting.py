"""Mount commands of packages that are imported only when the command runs.

torch takes a second to import and may not be installed at all: `forescale --help` must need neither.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from predictor.errors import InputError

OUR_PACKAGES = frozenset({"agent_service", "controller", "forescale", "predictor", "training"})


class MissingExtraError(InputError):
    """A command needs packages of an extra that is not installed."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One command: what `--help` lists, and where its function is."""

    name: str
    target: str  # "package.module:function", or a Typer app for a group of commands
    extra: str  # the extra of pyproject.toml that brings everything the function imports
    summary: str


class MountedCommand(TyperCommand):
    """Stands in the list of commands; becomes the real one when its arguments are read."""

    def __init__(self, mount: Mount) -> None:
        super().__init__(name=mount.name, help=mount.summary)
        self.mount = mount

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        # The context belongs to the real command, so Typer goes on with that one: help, completion and call.
        return load(self.mount).make_context(info_name, args, parent=parent, **extra)


def load(mount: Mount) -> Any:
    """Import the function of `mount` and build its command from the signature.

    Raises MissingExtraError when a package outside of ours cannot be imported, now or while the command runs.
    """
    module_name, _, function_name = mount.target.partition(":")
    with explain_missing_extra(mount):
        function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    if isinstance(function, typer.Typer):  # a group of commands
        for info in function.registered_commands:
            if info.callback is not None:
                info.callback = explain_missing_extra(mount)(info.callback)
        return get_command(function)
    alone = typer.Typer(add_completion=False)
    alone.command(mount.name)(explain_missing_extra(mount)(function))
    return get_command(alone)


@contextmanager
def explain_missing_extra(mount: Mount) -> Iterator[None]:
    """Turn a failed import of somebody else's package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in OUR_PACKAGES:
            raise  # our own mistake: a traceback says more than advice to install something
        raise MissingExtraError(
            f"forescale {mount.name} needs the package {missing}, which is not installed here; "
            f"install what it needs with: pip install 'forescale[{mount.extra}]'"
        ) from error


def mount_all(app: typer.Typer, mounts: Sequence[Mount]) -> Any:
    """Build the command group of `app` with `mounts` added, in the order given."""
    group = get_command(app)
    for mount in mounts:
        group.add_command(MountedCommand(mount))  # type: ignore[attr-defined]  # an app with a callback is a group
    return group
