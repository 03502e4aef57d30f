"""Replays recorded decisions of the real HPA controller through its twin and compares every one.

    python -m tests.controller.replay_hpa FILE [--limit N] [--verbose] [--json]

A recording has one scenario a line, as JSON, gzipped or not.  Exits 1 if any decision differs, 2 if the file cannot be
read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from controller.hpa import (
    ControllerSettings,
    Failed,
    HpaMemory,
    HpaSpec,
    Outcome,
    Phase,
    Pod,
    PodValues,
    Reading,
    Sample,
    Seen,
    Values,
    reconcile,
)
from predictor.errors import InputError

Raw = Mapping[str, Any]
SHOWN = 5  # mismatches told in detail unless --verbose


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One decision that came out differently."""

    scenario: int | str
    kind: str
    t: float
    want: Raw
    got: Raw

    def __str__(self) -> str:
        lines = [f"scenario {self.scenario} ({self.kind}), t={self.t:g}"]
        for name in (*self.want, *(name for name in self.got if name not in self.want)):
            want, got = self.want.get(name), self.got.get(name)
            if want != got:
                lines.append(f"    {name}: want {json.dumps(want)}, got {json.dumps(got)}")
        return "\n".join(lines)


@dataclass(slots=True)
class Tally:
    """What a replay found."""

    scenarios: int = 0
    decisions: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.scenarios} scenarios, {self.decisions} decisions, {len(self.mismatches)} mismatches"


def read_scenarios(path: Path, limit: int | None = None) -> Iterator[Raw]:
    """The recording's scenarios, at most `limit`; raises InputError naming the line that cannot be read."""
    count = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if count == limit:
                    return
                if not line.strip():
                    continue
                try:
                    scenario = json.loads(line)
                except ValueError as error:
                    raise InputError(f"{path}, line {number}: no JSON ({error}); give a recording") from error
                if not isinstance(scenario, dict):
                    raise InputError(f"{path}, line {number}: not a scenario; give a recording")
                yield scenario
                count += 1
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a recording, .jsonl or .jsonl.gz") from error
    if count == 0:
        raise InputError(f"{path} holds no scenario; give a recording")


def replay(scenarios: Iterator[Raw]) -> Tally:
    """Step the twin through every scenario, with an empty memory at the beginning of each."""
    tally = Tally()
    for number, scenario in enumerate(scenarios, start=1):
        try:
            tally.mismatches += replay_scenario(scenario)
            tally.decisions += len(scenario["steps"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            where = f"scenario {scenario.get('id', '?')}, number {number} of the recording"
            raise InputError(f"{where}, is malformed ({error!r}); record it again") from error
        tally.scenarios += 1
    return tally


def replay_scenario(scenario: Raw) -> list[Mismatch]:
    """The decisions of one scenario that differ."""
    spec = HpaSpec.from_manifest(scenario["hpa_spec"])
    settings = ControllerSettings(**scenario["controller"])
    memory, mismatches = HpaMemory(), []
    for step in scenario["steps"]:
        outcome, memory = reconcile(spec, settings, read_step(step), memory)
        got = in_words_of_the_recording(outcome)
        if got != step["want"]:
            mismatches.append(Mismatch(scenario["id"], scenario["class"], step["t"], step["want"], got))
    return mismatches


def read_step(step: Raw) -> Seen:
    """What the controller saw at a step."""
    return Seen(
        now=step["t"],
        spec_replicas=step["spec_replicas"],
        status_replicas=step["status_replicas"],
        min_replicas=step["min_replicas"],
        max_replicas=step["max_replicas"],
        pods=tuple(_read_pod(pod) for pod in step.get("pods") or ()),
        readings=tuple(_read_metric(metric) for metric in step["metrics"]),
    )


def in_words_of_the_recording(outcome: Outcome) -> Raw:
    """An outcome in the form of `want`."""
    return {
        "scaled_to": outcome.scaled_to,
        "desired": outcome.desired,
        "error": outcome.error is not None,
        "conditions": {
            name: {"status": condition.status, "reason": condition.reason}
            for name, condition in outcome.conditions.by_type().items()
        },
    }


def _read_pod(pod: Raw) -> Pod:
    return Pod(
        name=pod["name"],
        phase=Phase(pod["phase"]),
        is_ready=pod["ready"],
        ready_since=pod["ready_since"],
        started=pod["started"],
        is_deleting=pod.get("deleting", False),
        requests_milli={"cpu": pod["cpu_request_milli"]},
    )


def _read_metric(metric: Raw) -> Reading:
    """Empty parts are left out of a recording, so a metric without values or samples has failed."""
    if metric.get("error"):
        return Failed()
    if metric.get("values_milli"):
        return Values(tuple(metric["values_milli"]))
    if metric.get("pods"):
        samples = {name: Sample(sample["milli"], sample["at"]) for name, sample in metric["pods"].items()}
        return PodValues(samples, metric.get("window_seconds", 0))
    return Failed()


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay one file and report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.controller.replay_hpa", description="Compare the HPA twin with recorded decisions."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording, .jsonl or .jsonl.gz")
    parser.add_argument("--limit", type=int, metavar="N", help="replay only the first N scenarios")
    parser.add_argument("--verbose", action="store_true", help=f"show every mismatch, not only the first {SHOWN}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit is {options.limit}; give 1 or more")
    try:
        tally = replay(read_scenarios(options.file, options.limit))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    shown = tally.mismatches if options.verbose else tally.mismatches[:SHOWN]
    if options.json:
        counts = {"scenarios": tally.scenarios, "decisions": tally.decisions, "mismatches": len(tally.mismatches)}
        sys.stdout.write(json.dumps({**counts, "shown": [asdict(each) for each in shown]}) + "\n")
    else:
        sys.stdout.write("\n".join([*map(str, shown), str(tally)]) + "\n")
    return 1 if tally.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
