"""The rules that keep clocks, chance and I/O out of decisions, tried on code that breaks them.

What may be imported is the import contract's part, tried in tests/forescale/test_house.py.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUFF = Path(sys.executable).with_name("ruff")

OFFENCES = {
    "clock": "from datetime import datetime, UTC\n\nNOW = datetime.now(UTC)\n",
    "clock by another name": "import datetime as dt\n\nNOW = dt.datetime.now(dt.UTC)\n",
    "naive clock": "from datetime import datetime\n\nNOW = datetime.utcnow()\n",
    "clock as a default": "from datetime import datetime\n\ndef decide(now=datetime.now):\n    return now()\n",
    "today": "from datetime import date\n\nTODAY = date.today()\n",
    "time": "import time\n\nSTARTED = time.monotonic()\n",
    "sleep": "def wait():\n    from time import sleep\n\n    sleep(1)\n",
    "chance": "import random\n\nVALUE = random.gauss(0, 1)\n",
    "numpy's chance": "import numpy as np\n\nRNG = np.random.default_rng(0)\n",
    "files": "from pathlib import Path\n\nTEXT = Path('x').read_text()\n",
    "numpy's files": "import numpy as np\n\nTABLE = np.load('x.npy')\n",
    "environment": "import os\n\nHOME = os.environ['HOME']\n",
    "log": "import logging\n\nlogging.getLogger(__name__)\n",
    "network": "import socket\n\nsocket.socket()\n",
    "http": "from urllib.request import urlopen\n\nurlopen('http://x')\n",
    "processes": "from subprocess import run\n\nrun(['x'])\n",
    "threads": "import threading\n\nLOCK = threading.Lock()\n",
}
BUILTIN_IO = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}


def settings() -> dict[str, Any]:
    tools: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return tools


def pure_modules() -> list[str]:
    """What the import contract calls pure; a package means all of its modules."""
    for contract in settings()["importlinter"]["contracts"]:
        if contract["id"] == "decisions-pure":
            names: list[str] = contract["source_modules"]
            return names
    pytest.fail("pyproject.toml has no import contract decisions-pure")


def pure_files() -> list[Path]:
    paths = [ROOT.joinpath(*module.split(".")) for module in pure_modules()]
    return sorted(
        file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")])
    )


def findings(code: str, path: str) -> list[str]:
    command = [str(RUFF), "check", "--output-format", "concise", "--stdin-filename", path, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if "TID251" in line]


def builtin_io(code: str) -> set[str]:
    """Builtins that do I/O or run text; ruff's ban does not see them under their bare names."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)} & BUILTIN_IO


@pytest.mark.parametrize("offence", OFFENCES)
@pytest.mark.parametrize("path", ["controller/decision.py", "controller/hpa/reconcile.py"])
def test_a_decision_that_reads_a_clock_or_does_io_fails_the_lint(offence: str, path: str) -> None:
    assert findings(OFFENCES[offence], path)


@pytest.mark.parametrize("offence", OFFENCES)
@pytest.mark.parametrize("path", ["training/commands.py", "tests/controller/test_decision.py"])
def test_other_packages_may_do_it(offence: str, path: str) -> None:
    assert not findings(OFFENCES[offence], path)


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_decision_calls_no_builtin_that_does_io(path: Path) -> None:
    assert builtin_io(path.read_text(encoding="utf-8")) == set()


def test_a_builtin_that_does_io_is_found() -> None:
    assert builtin_io("def load(path):\n    with open(path) as file:\n        return eval(file.read())\n") == {
        "open",
        "eval",
    }


def test_every_module_of_the_controller_is_held_pure_or_named_a_shell() -> None:
    ignores: dict[str, list[str]] = settings()["ruff"]["lint"]["per-file-ignores"]
    patterns = [pattern for pattern, rules in ignores.items() if "TID251" in rules and not pattern.startswith("!")]
    shells = {path for pattern in patterns for path in ROOT.glob(pattern)}
    ours = {path for path in ROOT.glob("controller/**/*.py") if path != ROOT / "controller/__init__.py"}

    unplaced = sorted(str(path.relative_to(ROOT)) for path in ours - set(pure_files()) - shells)

    assert unplaced == [], (
        "add each to the import contract decisions-pure, or, if it does I/O, to per-file-ignores with TID251"
    )
