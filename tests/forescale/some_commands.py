"""Commands for the tests of the front door: each does one thing that a command may do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predictor.errors import SeriesGapError, SourceError


def greet(name: Annotated[str, typer.Option(help="Whom to greet.")] = "world") -> None:
    """Greet somebody, at length."""
    typer.echo(f"hello {name}")


def meet_a_gap() -> None:
    """Find that samples are missing."""
    raise SeriesGapError("web [prod]: 30 of 60 samples missing; check the scrape job")


def find_nobody() -> None:
    """Find that the source does not answer."""
    try:
        raise ConnectionRefusedError("refused")
    except ConnectionRefusedError as error:
        raise SourceError("http://127.0.0.1:9 does not answer; is Prometheus running there?") from error


def open_a_file_that_is_not_there() -> None:
    """Let the system's own error through."""
    Path("/nonexistent/demand.csv").read_text(encoding="utf-8")


def break_down() -> None:
    """Do what nobody foresaw."""
    raise ZeroDivisionError("no demand to divide by")


def be_interrupted() -> None:
    """Get Ctrl-C."""
    raise KeyboardInterrupt


def need_a_missing_package() -> None:
    """Import something late that is not installed."""
    import a_package_nobody_has  # type: ignore[import-not-found]  # noqa: F401


def forget_a_module_of_ours() -> None:
    """Import a module of our own that does not exist."""
    import predictor.nothing_by_this_name  # type: ignore[import-not-found]  # noqa: F401
