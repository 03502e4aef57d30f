"""How long training one series of 28 days takes, and how much memory, by number of torch threads.

Run it with `python -m benchmarks.training [--out FILE.md]`.  Each run is a process of its own, so that peak memory is
that run's; with more threads than quiet cores, times collapse, which the table is there to show.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_CHILD = """
import json, resource, sys
from forescale.cli import main
code = main(["train", "--synthetic", "--out", sys.argv[1] + "/model", "--threads", sys.argv[2], "--seed", sys.argv[3],
             "--holdout", "0", "--json"])
print(json.dumps({"code": code, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("training.md"))
    chosen = parser.parse_args(arguments)
    lines = [
        "| threads | runs | seconds, median | seconds, range | updates, median | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for threads in (1, 2):
        runs = [_run(threads, seed) for seed in range(chosen.seeds)]
        seconds = [run["seconds"] for run in runs]
        updates = statistics.median(run["updates"] for run in runs)
        peak = max(run["peak_mb"] for run in runs)
        lines.append(
            f"| {threads} | {len(runs)} | {statistics.median(seconds):.0f} | {min(seconds):.0f}–{max(seconds):.0f} | "
            f"{updates:.0f} | {peak:.0f} |"
        )
    text = (
        f"# Training benchmark\n\n28 days at 60 s (40,320 samples, synthetic), {os.cpu_count()} cores. "
        "Printed by `python -m benchmarks.training`.\n\n" + "\n".join(lines) + "\n"
    )
    print(text)
    chosen.out.write_text(text)
    return 0


def _run(threads: int, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-c", _CHILD, directory, str(threads), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, _, last = done.stdout.rstrip().rpartition("\n")
    facts, usage = json.loads(first), json.loads(last)
    return {"seconds": facts["seconds"], "updates": facts["updates"], "peak_mb": usage["peak_mb"]}


if __name__ == "__main__":
    sys.exit(main())
