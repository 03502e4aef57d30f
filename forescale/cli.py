"""The `forescale` command.  A thin shell: mounts each package's commands, gives every error its exit code."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from forescale.mounting import Mount, mount_all
from predictor.errors import ForescaleError, InputError

BUG = 1
BAD_INPUT = InputError.exit_code
SYNTHETIC_SEED = 0  # fixed: train, evaluate and forecast must see the same demand
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

COMMANDS: tuple[Mount, ...] = (
    Mount("train", "training.commands:train", "training", "Train a model on metric history."),
    Mount("evaluate", "training.commands:evaluate", "training", "Judge a model against simple baselines."),
    Mount("compare", "training.comparison.command:compare", "training", "Show what prediction buys against the HPA."),
    Mount("forecast", "predictor.commands:forecast", "predictor", "Forecast the next minutes with a model."),
    Mount("serve", "predictor.server.command:serve", "predictor", "Serve forecasts: an API, a page, metrics."),
    Mount("rules", "predictor.server.rules_command:rules", "predictor", "Print Prometheus rules that keep score."),
    Mount("retrain", "training.retraining.command:command", "training", "Train anew; promote what is better."),
    Mount("controller", "controller.commands:app", "controller", "Run the controller in a cluster; look; undo."),
    Mount("agent", "agent_service.commands:app", "agent", "Serve the agent that is scaled; talk to it."),
    Mount("demo", "training.demo:demo", "training", "Do all of it on generated demand."),
)


@dataclass(slots=True)
class Session:
    """What the options before the command say; filled while they are read."""

    is_debugging: bool = False

    @staticmethod
    def make_synthetic(days: int, step_seconds: int, end: datetime, seed: int = SYNTHETIC_SEED) -> Any:
        """Generated demand (a Series), for commands of packages that may not import the generator themselves."""
        generator = importlib.import_module("training.synthetic")  # only when it is asked for
        spec = generator.SyntheticDemand()
        return generator.generate(spec, days=days, step_seconds=step_seconds, seed=seed, end=end)

    @staticmethod
    def demo_model() -> Any:
        """Directory (a Path) of a model of generated demand; trains one when there is none yet."""
        return importlib.import_module("training.demo").demo_model()


def main(arguments: Sequence[str] | None = None, commands: Sequence[Mount] = COMMANDS) -> int:
    """Run `forescale` and return its exit code.

    0 fine, 1 a bug (with its traceback), 2 bad usage or bad input, 3 source unreachable, 130 interrupted.
    """
    session = Session()
    front_door = mount_all(an_app(), commands)
    try:
        front_door(args=arguments, prog_name="forescale", obj=session)
    except SystemExit as leaving:  # Typer leaves this way, also when all went well
        if leaving.code == INTERRUPTED:
            complain("interrupted")
        return leaving.code if isinstance(leaving.code, int) else 0
    except ForescaleError as error:
        return refuse(str(error), error.exit_code, session)
    except OSError as error:
        if error.filename is None:  # no file of the user's: ours to explain, and we did not
            return confess()
        return refuse(f"{error.filename}: {error.strerror}; check the path and its rights", BAD_INPUT, session)
    except Exception as error:
        # The agent's own errors: it shares no code with the other packages, only this attribute.
        exit_code = getattr(error, "exit_code", None)
        return confess() if not isinstance(exit_code, int) else refuse(str(error), exit_code, session)
    return 0


def an_app() -> typer.Typer:
    """The options that stand before the command."""
    app = typer.Typer(
        name="forescale",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Forecast a workload's demand 15 minutes ahead, and judge honestly whether that pays.",
        epilog="Exit codes: 0 fine, 1 a bug, 2 bad usage or input, 3 source unreachable, 130 interrupted.",
    )

    @app.callback()
    def read_options(
        context: typer.Context,
        debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of every error.")] = False,
        show_version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")
        ] = False,
    ) -> None:
        context.obj.is_debugging = debug

    return app


def print_version(wanted: bool) -> None:
    """Print the installed version and leave, when `wanted`."""
    if wanted:
        typer.echo(f"forescale {installed_version()}")
        raise typer.Exit


def installed_version() -> str:
    """The version of the installed package; a source tree on the path has none."""
    try:
        return version("forescale")
    except PackageNotFoundError:
        return "(not installed, running from its source)"


def refuse(message: str, exit_code: int, session: Session) -> int:
    """Say on stderr what cannot be done, with the traceback when asked for, and return the exit code."""
    if session.is_debugging:
        traceback.print_exc()
    complain(f"error: {message}")
    return exit_code


def confess() -> int:
    """Show the traceback of what nobody foresaw, and return the exit code of a bug."""
    traceback.print_exc()
    complain(f"This is a bug in forescale {installed_version()}: please report it with the lines above.")
    return BUG


def complain(message: str) -> None:
    """Print one red line on stderr; stdout stays clean for --json."""
    # Text, not markup: messages contain [brackets].  soft_wrap: one line stays one line, for grep and logs.
    Console(stderr=True).print(Text(message, style="red"), soft_wrap=True)
