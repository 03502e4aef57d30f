"""`forescale controller`: run the controller, look at what it does, undo it."""

from __future__ import annotations

import typer

from controller.commands.crd import crd
from controller.commands.explain import explain
from controller.commands.restore import restore
from controller.commands.run import run
from controller.commands.status import status

app = typer.Typer(
    name="controller",
    no_args_is_help=True,
    add_completion=False,
    help="Run the controller in a cluster, look at what it does, undo it.",
)
for command in (run, status, explain, restore, crd):
    app.command(command.__name__)(command)
