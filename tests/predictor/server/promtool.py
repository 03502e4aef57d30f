"""Asks promtool what rules give on given samples: a real Prometheus engine on a clock of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from predictor.series import FloatArray
from tests.servers.processes import find_program


def promtool_2() -> Path:
    """Debian's, or any other on PATH."""
    return find_program("promtool", how="apt-get install --no-install-recommends prometheus")


def promtool_3() -> Path:
    """Prometheus 3's, where somebody built it: `go install github.com/prometheus/prometheus/cmd/promtool@v0.316.0`."""
    given = os.environ.get("FORESCALE_PROMTOOL3")
    if not given:
        pytest.skip("FORESCALE_PROMTOOL3 names no promtool of Prometheus 3")
    return Path(given)


@dataclass(slots=True)
class Questions:
    """Samples, and what must come out of them."""

    step_seconds: int
    series: list[dict[str, str]] = field(default_factory=list)
    expressions: list[dict[str, Any]] = field(default_factory=list)

    def given(self, metric: str, labels: Mapping[str, str], values: FloatArray) -> None:
        """A gauge's samples from the first step on, NaN where it was absent."""
        written = " ".join(repr(value) if np.isfinite(value) else "_" for value in values.tolist())
        self.series.append({"series": selector(metric, labels), "values": written})

    def expect(self, at: int, expression: str, value: float | None, **labels: str) -> None:
        """Exactly this value, or nothing for None, at a step."""
        samples = [] if value is None else [{"labels": selector("", labels), "value": value}]
        self.expressions.append({"expr": expression, "eval_time": self._time(at), "exp_samples": samples})

    def expect_near(self, at: int, expression: str, value: float | None) -> None:
        """This value to nine digits after the point, or relative to it when it is above 1."""
        if value is None:
            self.expect(at, expression, None)
            return
        tolerance = 1e-9 * max(1.0, abs(value))
        self.expect(at, f"count(abs({expression} - {value!r}) <= {tolerance!r})", 1.0)

    def ask(self, program: Path, rules: Mapping[str, Any], folder: Path) -> None:
        """Let promtool answer; fails with what it found instead."""
        (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules), sort_keys=False))
        test = {
            "interval": f"{self.step_seconds}s",
            "input_series": self.series,
            "promql_expr_test": self.expressions,
        }
        document = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": f"{self.step_seconds}s",
            "group_eval_order": [group["name"] for group in rules["groups"]],
            "tests": [test],
        }
        (folder / "test.yaml").write_text(yaml.safe_dump(document, sort_keys=False, width=10**9))
        answer = run(program, ["test", "rules", str(folder / "test.yaml")])
        assert answer.returncode == 0, (answer.stdout + answer.stderr)[:8000]

    def _time(self, at: int) -> str:
        return f"{at * self.step_seconds}s"


def run(program: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """One call of promtool."""
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=280)


def selector(metric: str, labels: Mapping[str, str]) -> str:
    """`metric{label="value"}`."""
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
