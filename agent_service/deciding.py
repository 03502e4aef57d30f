"""Asks a person in a terminal what a run waits for."""

from __future__ import annotations

import json
from typing import Any

import typer

from agent_service.assistant.printable import printable


def decide(interrupts: list[dict[str, Any]]) -> Any:
    """What to resume with: the answer, or one by id where several wait.  Raises typer.Abort when he leaves without."""
    if len(interrupts) == 1:
        return _answer(interrupts[0].get("value"))
    return {str(interrupt.get("id")): _answer(interrupt.get("value")) for interrupt in interrupts}


def _answer(value: Any) -> Any:
    actions = value.get("action_requests") if isinstance(value, dict) else None
    if isinstance(actions, list) and all(isinstance(action, dict) for action in actions):
        return {"decisions": [_decision(action) for action in actions]}
    # Of a graph that asks in its own way: its question as it is, and the answer as it is typed.
    typer.echo("\n" + printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    text = typer.prompt("answer").strip()
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _decision(action: dict[str, Any]) -> dict[str, Any]:
    typer.echo(f"\nIt proposes {printable(str(action.get('name', 'something')))}: {json.dumps(action.get('args', {}))}")
    if action.get("description"):
        typer.echo(printable(str(action["description"])))
    while True:
        match typer.prompt("approve, edit or reject").strip().lower():
            case "a" | "approve":
                return {"type": "approve"}
            case "r" | "reject":
                return {"type": "reject", "message": typer.prompt("why", default="", show_default=False)}
            case "e" | "edit":
                args = _edited(action.get("args", {}))
                return {"type": "edit", "edited_action": {"name": action.get("name"), "args": args}}
        typer.echo("Type approve, edit or reject, or a, e, r. Ctrl-C decides nothing.", err=True)


def _edited(args: Any) -> dict[str, Any]:
    while True:  # without a default: Enter must not approve what stood there
        try:
            found = json.loads(typer.prompt(f"arguments as JSON, such as {json.dumps(args)}"))
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        typer.secho(f"That is no JSON object; write it as {json.dumps(args)}", fg="red", err=True)
