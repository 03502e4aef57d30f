from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from predictor.bundle import CARD_FILE, ONNX_FILE, ModelCard, TrainingFacts, read_bundle, write_bundle
from predictor.errors import BundleError
from predictor.features import FeatureSchema
from predictor.forecast import DEFAULT_LEVELS
from predictor.online import OnlineSettings

ONNX = b"the network's bytes: a bundle does not look into them"


def a_card() -> ModelCard:
    return ModelCard(
        step_seconds=60,
        season_seconds=(86400,),
        levels=DEFAULT_LEVELS,
        schema=FeatureSchema(season_steps=(1440,), covariates=("orders",)),
        online=OnlineSettings(levels=DEFAULT_LEVELS, horizon=15),
        offsets={"web": 1.5},
        training=TrainingFacts(
            series=("web",),
            is_synthetic=False,
            start="2026-01-01T00:00:00+00:00",
            end="2026-01-08T00:00:00+00:00",
            samples=10080,
            missing_ratio=0.01,
            seed=0,
            updates=200,
            best_update=120,
            parameters=70000,
            seconds=20.0,
            validation_loss=0.4,
            validation_skill=0.3,
            history=((30.0, 0.6, 0.5, 0.1),),
        ),
        code_version="0.1.0",
        created_at="2026-01-08T00:00:00+00:00",
    )


def edit(directory: Path, **changes: object) -> None:
    """Change fields of model.json without mending its hash."""
    document = json.loads((directory / CARD_FILE).read_text())
    (directory / CARD_FILE).write_text(json.dumps(document | changes))


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "model", a_card(), ONNX)

    found = read_bundle(tmp_path / "model")

    assert found.onnx == ONNX
    assert found.content_hash == written.content_hash
    assert replace(found.card, onnx_sha256="") == a_card()


def test_the_hash_names_the_content(tmp_path: Path) -> None:
    one = write_bundle(tmp_path / "one", a_card(), ONNX)
    same = write_bundle(tmp_path / "same", a_card(), ONNX)
    other = write_bundle(tmp_path / "other", a_card(), ONNX + b".")

    assert one.short_hash == same.short_hash
    assert one.short_hash != other.short_hash


@pytest.mark.parametrize("name", [ONNX_FILE, CARD_FILE])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(BundleError, match=name):
        read_bundle(tmp_path / "model")


def test_a_flipped_byte_in_the_network_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    (tmp_path / "model" / ONNX_FILE).write_bytes(b"T" + ONNX[1:])

    with pytest.raises(BundleError, match="hash does not match"):
        read_bundle(tmp_path / "model")


def test_an_altered_card_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    edit(tmp_path / "model", step_seconds=30)

    with pytest.raises(BundleError, match="altered or damaged"):
        read_bundle(tmp_path / "model")


def test_an_unknown_schema_version_is_refused_before_anything_else(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    edit(tmp_path / "model", schema_version=99)

    with pytest.raises(BundleError, match="schema version 99, this forescale reads 1"):
        read_bundle(tmp_path / "model")


@pytest.mark.parametrize("name", [ONNX_FILE, CARD_FILE])
def test_a_missing_file_says_which_and_what_to_give(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    (tmp_path / "model" / name).unlink()

    with pytest.raises(BundleError, match=rf"{name}.*forescale train"):
        read_bundle(tmp_path / "model")


def test_a_card_with_levels_out_of_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="must rise"):
        write_bundle(tmp_path / "model", replace(a_card(), levels=(0.9, 0.5)), ONNX)


def test_writing_replaces_an_older_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)

    write_bundle(tmp_path / "model", a_card(), b"newer")

    assert read_bundle(tmp_path / "model").onnx == b"newer"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_replacement_leaves_the_older_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "model", a_card(), ONNX)
    rename = Path.rename

    def fail_to_move_in(self: Path, target: Path) -> Path:
        if target.name == "model" and not self.name.endswith(".old"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_move_in)
    with pytest.raises(BundleError, match="untouched"):
        write_bundle(tmp_path / "model", a_card(), b"newer")

    assert read_bundle(tmp_path / "model").onnx == ONNX


def test_a_file_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")

    with pytest.raises(BundleError, match="in the way"):
        write_bundle(tmp_path / "model", a_card(), ONNX)

    assert (tmp_path / "model").read_text() == "mine"


def test_reading_bundles_and_running_networks_needs_no_torch() -> None:
    code = "import sys, predictor.bundle, predictor.runtime, predictor.forecaster; print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
