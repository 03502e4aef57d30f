"""The rule that keeps clocks and I/O out of decisions, tried on code that breaks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUFF = Path(sys.executable).with_name("ruff")

OFFENCES = {
    "clock": "from datetime import datetime, UTC\n\nNOW = datetime.now(UTC)\n",
    "time": "import time\n\nSTARTED = time.monotonic()\n",
    "chance": "import random\n\nVALUE = random.gauss(0, 1)\n",
    "numpy's chance": "import numpy as np\n\nRNG = np.random.default_rng(0)\n",
    "files": "from pathlib import Path\n\nTEXT = Path('x').read_text()\n",
    "log": "import logging\n\nlogging.getLogger(__name__)\n",
    "network": "import socket\n\nsocket.socket()\n",
}


def findings(code: str, path: str) -> list[str]:
    command = [str(RUFF), "check", "--output-format", "concise", "--stdin-filename", path, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if "TID251" in line]


@pytest.mark.parametrize("offence", OFFENCES)
@pytest.mark.parametrize("path", ["controller/decision.py", "controller/hpa/reconcile.py"])
def test_a_decision_that_reads_a_clock_or_does_io_fails_the_lint(offence: str, path: str) -> None:
    assert findings(OFFENCES[offence], path)


@pytest.mark.parametrize("offence", OFFENCES)
def test_other_packages_may_do_it(offence: str) -> None:
    assert not findings(OFFENCES[offence], "training/commands.py")
