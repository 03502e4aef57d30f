from __future__ import annotations

import fcntl
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from predictor.bundle import ONNX_FILE, read_bundle
from predictor.errors import InputError
from predictor.forecaster import Forecaster, History
from predictor.server.settings import Settings, settings_from
from tests.builders import DAY, HORIZON, START, a_history, a_series
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model
from training.retraining.job import Outcome, retrain, roll_back
from training.retraining.judging import Verdict, judge_model, judge_persistence
from training.retraining.versions import Versions

NOW = START + timedelta(days=1)


def settings(model: Path, **retraining: object) -> Settings:
    judged = {"judged_days": 2 * DAY / 86_400, "min_gain_ratio": 0.01, **retraining}
    document = {
        "model": str(model),
        "step_seconds": 1,
        "horizon_steps": HORIZON,
        "season_seconds": [DAY],
        "workloads": [{"name": "web", "query": "q"}],
        "retrain": judged,
    }
    return settings_from(document, source="test")


def run(model: Path, history: History, *, now: datetime = NOW, seed: int = 0, **more: object) -> Outcome:
    chosen = settings(model, **{key: value for key, value in more.items() if key != "dry_run"})
    return retrain(chosen, model, {"web": history}, now=now, seed=seed, updates=40, dry_run=bool(more.get("dry_run")))


def poor_model(model: Path) -> str:
    """Trained for one update, and it knows no season: only its calibration is of use here."""
    recipe = LearningSettings(
        horizon=HORIZON, season_seconds=(), fit=FitSettings(updates=1, batch=8, loss_steps=48, check_every=1)
    )
    return learn_model([a_history().until(6 * DAY - HORIZON, HORIZON)], recipe, model, now=START).bundle.short_hash


def test_where_there_is_no_model_the_first_one_is_promoted(tmp_path: Path) -> None:
    model = tmp_path / "web"

    outcome = run(model, a_history())

    assert outcome.decision.verdict is Verdict.PROMOTE
    assert outcome.champion is None
    assert read_bundle(model).short_hash == outcome.in_service == outcome.challenger
    facts = read_bundle(model).card.training
    assert datetime.fromisoformat(facts.end) < a_series().instant(6 * DAY - HORIZON)  # it has not seen what was judged


def test_a_better_challenger_takes_over_and_the_old_one_is_kept(tmp_path: Path) -> None:
    model = tmp_path / "web"
    old = poor_model(model)

    outcome = run(model, a_history())

    assert outcome.decision.verdict is Verdict.PROMOTE
    assert outcome.champion == old
    assert outcome.decision.loss_ratio is not None
    assert outcome.decision.loss_ratio < 0.99
    assert read_bundle(model).short_hash == outcome.challenger
    assert [version.hash for version in Versions(model).kept()] == [old]
    assert read_bundle(model).card.levels == Versions(model).kept()[0].bundle.card.levels  # for whoever reads them


def test_the_same_again_is_not_promoted(tmp_path: Path) -> None:
    model = tmp_path / "web"
    first = run(model, a_history())

    again = run(model, a_history())

    assert again.decision.verdict is Verdict.KEEP
    assert read_bundle(model).short_hash == first.challenger
    assert Versions(model).kept() == []


def test_a_damaged_champion_is_replaced_and_its_files_kept_for_whoever_asks(tmp_path: Path) -> None:
    model = tmp_path / "web"
    run(model, a_history())
    (model / ONNX_FILE).write_bytes(b"rubbish")

    outcome = run(model, a_history())

    assert outcome.decision.verdict is Verdict.PROMOTE
    assert "hash does not match" in outcome.decision.reason
    Forecaster.load(model)
    assert (model.with_name("web.versions") / "damaged-1" / ONNX_FILE).read_bytes() == b"rubbish"


def test_a_dry_run_judges_and_changes_nothing(tmp_path: Path) -> None:
    model = tmp_path / "web"
    old = poor_model(model)

    outcome = run(model, a_history(), dry_run=True)

    assert outcome.decision.verdict is Verdict.PROMOTE
    assert outcome.in_service == old == read_bundle(model).short_hash
    assert Versions(model).kept() == []
    assert Versions(model).notes() == []


def test_the_old_model_can_be_put_back_and_the_new_one_again(tmp_path: Path) -> None:
    model = tmp_path / "web"
    old = poor_model(model)
    new = run(model, a_history()).challenger

    assert roll_back(model, "", keep=5, now=NOW) == old
    assert read_bundle(model).short_hash == old

    assert new is not None
    assert roll_back(model, new[:6], keep=5, now=NOW) == new
    assert read_bundle(model).short_hash == new
    assert [note["verdict"] for note in Versions(model).notes()] == ["promote", "rollback", "rollback"]


def test_only_so_many_versions_are_kept_the_newest(tmp_path: Path) -> None:
    model = tmp_path / "web"
    versions, hashes = Versions(model), []
    for number in range(4):
        recipe = LearningSettings(
            horizon=HORIZON, season_seconds=(DAY,),
            fit=FitSettings(seed=number, updates=1, batch=8, loss_steps=48, check_every=1),
        )  # fmt: skip
        made = learn_model([a_history()], recipe, tmp_path / f"made{number}", now=START + timedelta(days=number))
        hashes.append(made.bundle.short_hash)
        with versions.lock():
            versions.promote(made.bundle, keep=2)

    assert read_bundle(model).short_hash == hashes[3]
    assert [version.hash for version in versions.kept()] == [hashes[2], hashes[1]]


def test_a_version_that_is_not_kept_is_told_with_those_that_are(tmp_path: Path) -> None:
    model = tmp_path / "web"
    old = poor_model(model)
    run(model, a_history())

    with pytest.raises(InputError, match=f"no version abcdef; kept are: {old}"):
        roll_back(model, "abcdef", keep=5, now=NOW)


def test_two_jobs_do_not_work_on_one_model_at_once(tmp_path: Path) -> None:
    model = tmp_path / "web"
    folder = Versions(model).folder
    folder.mkdir()
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(InputError, match="another job works on it"):
            run(model, a_history())

    assert not model.exists()


def test_a_training_that_breaks_off_leaves_the_champion_and_no_litter(tmp_path: Path) -> None:
    model = tmp_path / "web"
    old = poor_model(model)

    def pull_the_plug(_: object) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        retrain(settings(model), model, {"web": a_history()}, now=NOW, updates=40, on_progress=pull_the_plug)

    assert read_bundle(model).short_hash == old
    assert [path.name for path in Versions(model).folder.iterdir()] == [".lock"]


def test_too_little_history_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lower retrain\.judged_days"):
        run(tmp_path / "web", a_history().until(3 * DAY, HORIZON))


def test_a_champion_that_saw_the_judged_span_is_told(tmp_path: Path) -> None:
    model = tmp_path / "web"
    recipe = LearningSettings(
        horizon=HORIZON, season_seconds=(DAY,), fit=FitSettings(updates=1, batch=8, loss_steps=48, check_every=1)
    )
    learn_model([a_history()], recipe, model, now=START)

    outcome = run(model, a_history(), dry_run=True)

    assert any("part of the judged span" in note for note in outcome.notes)


def test_foresight_is_judged_better_than_the_last_value(tmp_path: Path) -> None:
    model = tmp_path / "web"
    run(model, a_history())
    forecaster, history = Forecaster.load(model), a_history()

    ours = judge_model(forecaster, history, 6 * DAY)
    nothing = judge_persistence(history, 6 * DAY, forecaster.levels, forecaster.horizon)

    assert ours.pairs == nothing.pairs == 2 * DAY - HORIZON
    assert ours.loss is not None
    assert nothing.loss is not None
    assert ours.loss < 0.6 * nothing.loss
    assert ours.coverage is not None
    assert ours.coverage > 0.9
