"""The twin against recorded decisions of the real controller, and the tool that compares them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.controller.replay_hpa import main, read_scenarios, replay

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def recording() -> Path:
    """Too large to be part of the project.  Skips where it is absent, unless FORESCALE_REQUIRE_TRACES is set."""
    path = ROOT.parent / "shared" / "hpa" / "decisions.jsonl.gz"
    if not path.is_file():
        missing = f"no recorded decisions of the HPA controller at {path}"
        if os.environ.get("FORESCALE_REQUIRE_TRACES"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


def a_scenario(**changes: Any) -> dict[str, Any]:
    """One look at five replicas with a demand for eight."""
    step = {
        "t": 15,
        "spec_replicas": 5,
        "status_replicas": 5,
        "min_replicas": 1,
        "max_replicas": 10,
        "metrics": [{"values_milli": [8000]}],
        "want": {
            "scaled_to": 8,
            "desired": 8,
            "error": False,
            "conditions": {
                "AbleToScale": {"status": "True", "reason": "SucceededRescale"},
                "ScalingActive": {"status": "True", "reason": "ValidMetricFound"},
                "ScalingLimited": {"status": "False", "reason": "DesiredWithinRange"},
                "ScaledToZero": {"status": "False", "reason": "NotScaledToZero"},
            },
        },
    }
    target = {"type": "AverageValue", "averageValue": "1"}
    metric = {"type": "External", "external": {"metric": {"name": "demand"}, "target": target}}
    return {
        "id": 7,
        "class": "default-behavior",
        "controller": {"tolerance": 0.1, "downscale_stabilization_seconds": 300},
        "hpa_spec": {"minReplicas": 1, "maxReplicas": 10, "metrics": [metric]},
        "steps": [{**step, **changes}],
    }


def a_file(folder: Path, *scenarios: Any, name: str = "decisions.jsonl") -> str:
    path = folder / name
    text = "".join(json.dumps(each) + "\n" for each in scenarios)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def test_the_twin_makes_every_recorded_decision(recording: Path) -> None:
    tally = replay(read_scenarios(recording))

    assert not tally.mismatches, "\n".join(map(str, tally.mismatches[:3]))
    assert (tally.scenarios, tally.decisions) == (320, 23_469)


@pytest.mark.parametrize("name", ["decisions.jsonl", "decisions.jsonl.gz"])
def test_a_replay_without_a_mismatch_says_how_much_it_compared(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([a_file(tmp_path, a_scenario(), a_scenario(), name=name)])

    assert (code, capsys.readouterr().out) == (0, "2 scenarios, 2 decisions, 0 mismatches\n")


def test_a_mismatch_is_told_in_detail_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([a_file(tmp_path, a_scenario(metrics=[{"values_milli": [9000]}]))])

    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "scenario 7 (default-behavior), t=15",
        "    scaled_to: want 8, got 9",
        "    desired: want 8, got 9",
        "1 scenarios, 1 decisions, 1 mismatches",
    ]


@pytest.mark.parametrize("metric", [{"error": True}, {"window_seconds": 15}, {"error": True, "values_milli": [8000]}])
def test_a_recorded_failure_is_replayed_as_one(
    metric: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([a_file(tmp_path, a_scenario(metrics=[metric])), "--json"])

    report = json.loads(capsys.readouterr().out)
    assert report["shown"][0]["got"]["error"] is True
    assert report["shown"][0]["got"]["conditions"]["ScalingActive"]["reason"] == "FailedGetExternalMetric"


def test_only_the_first_mismatches_are_shown_unless_all_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_file(tmp_path, *[a_scenario(metrics=[{"values_milli": [9000]}])] * 7)

    main([path, "--json"])
    first = json.loads(capsys.readouterr().out)
    main([path, "--json", "--verbose", "--limit", "6"])
    every = json.loads(capsys.readouterr().out)

    assert (first["scenarios"], first["decisions"], first["mismatches"]) == (7, 7, 7)
    assert (len(first["shown"]), every["scenarios"], len(every["shown"])) == (5, 6, 6)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no scenario; give a recording"),
        (b"{\n", "line 1: no JSON"),
        (b"[]\n", "line 1: not a scenario"),
        (b"{}\n", r"scenario ?, number 1 of the recording, is malformed (KeyError('hpa_spec'))"),
        (b"\xff\n", "cannot be read"),
    ],
)
def test_a_malformed_file_is_refused(
    content: bytes, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(content)

    assert main([str(path)]) == 2
    assert complaint in capsys.readouterr().err


def test_a_truncated_or_missing_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path(a_file(tmp_path, *[a_scenario(t=t) for t in range(50)], name="whole.jsonl.gz")).read_bytes()
    (tmp_path / "half.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "plain.jsonl.gz").write_text("{}\n")

    for name in ("half.jsonl.gz", "plain.jsonl.gz", "absent.jsonl"):
        assert main([str(tmp_path / name)]) == 2
        assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"spec_replicas": "five"}, {"pods": [{"name": "p0"}]}, {"metrics": [7]}])
def test_a_malformed_step_is_refused(
    changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([a_file(tmp_path, a_scenario(**changes))]) == 2
    assert "scenario 7, number 1 of the recording, is malformed" in capsys.readouterr().err


def test_a_limit_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([a_file(tmp_path, a_scenario()), "--limit", "0"])
