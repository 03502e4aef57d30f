"""The model bundle: `model.onnx` and `model.json`, written atomically and verified on load.  Nothing is executed.

`model.json` says what the network expects and how it came about; it carries the hash of `model.onnx` and of itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from predictor.errors import BundleError
from predictor.features import FeatureSchema
from predictor.forecast import MAX_HORIZON
from predictor.marks import Mark
from predictor.online import OnlineSettings

SCHEMA_VERSION = 1
ONNX_FILE = "model.onnx"
CARD_FILE = "model.json"
_SHORT = 12

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Where the weights come from."""

    series: tuple[str, ...]
    is_synthetic: bool
    start: str  # ISO 8601, first sample of the training span
    end: str  # ISO 8601, last sample of the training span: evaluation starts after it
    samples: int
    missing_ratio: float
    seed: int
    updates: int
    best_update: int
    parameters: int
    seconds: float
    validation_loss: float
    validation_skill: float  # over persistence, at the last step ahead
    history: tuple[tuple[float, float, float, float], ...] = ()  # update, loss, validation loss, skill


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything about a model but its weights."""

    step_seconds: int
    season_seconds: tuple[int, ...]  # the seasons asked for; those learnt are in `schema`
    levels: tuple[float, ...]
    schema: FeatureSchema
    online: OnlineSettings
    offsets: Mapping[str, float]  # series name -> offset of the logarithm
    training: TrainingFacts
    code_version: str
    created_at: str  # ISO 8601
    onnx_sha256: str = field(default="")
    marks: Mapping[str, Mark] = field(default_factory=dict)  # series name -> round times at which its demand jumps


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle in memory."""

    card: ModelCard
    onnx: bytes
    content_hash: str

    @property
    def short_hash(self) -> str:
        """Enough of the hash to name the model in a forecast."""
        return self.content_hash[:_SHORT]


def write_bundle(directory: Path, card: ModelCard, onnx: bytes) -> Bundle:
    """Write both files so that a reader sees the old bundle or the new one, never a mixture.

    The new bundle is complete on disk before it takes the directory's name.
    """
    document = _document(card, onnx)
    directory = directory.absolute()
    if directory.exists() and not directory.is_dir():
        raise BundleError(f"{directory}: a file is in the way; choose another --out")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise BundleError(f"{directory}: cannot be written ({error.strerror}); choose another --out") from error
    try:
        _write_synced(fresh / ONNX_FILE, onnx)
        _write_synced(fresh / CARD_FILE, json.dumps(document, indent=2).encode())
        fresh.chmod(0o755)
        _swap(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return read_bundle(directory)


def read_bundle(directory: Path) -> Bundle:
    """Read and verify a bundle; raises BundleError with what is wrong and what to do."""
    card_path, onnx_path = directory / CARD_FILE, directory / ONNX_FILE
    try:
        text, onnx = card_path.read_bytes(), onnx_path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{error.filename}: {error.strerror}; give the directory that `forescale train --out` wrote"
        ) from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BundleError(f"{card_path}: not JSON ({error}); the file is damaged: train again") from error
    if not isinstance(document, dict):
        raise BundleError(f"{card_path}: not a model card; train again")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{card_path}: schema version {version}, this forescale reads {SCHEMA_VERSION}; "
            "train again, or use the version that wrote it"
        )
    claimed = document.pop("content_hash", None)
    if claimed != _hash_of(document):
        raise BundleError(f"{card_path}: content hash does not match; the file was altered or damaged: train again")
    found = hashlib.sha256(onnx).hexdigest()
    if document.get("onnx_sha256") != found:
        raise BundleError(f"{onnx_path}: hash does not match {CARD_FILE}; truncated or from another model: train again")
    try:
        card = _card(document)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{card_path}: {error}; the card is not one that this version understands") from error
    return Bundle(card, onnx, str(claimed))


def _document(card: ModelCard, onnx: bytes) -> dict[str, Any]:
    document = {"schema_version": SCHEMA_VERSION, **asdict(card), "onnx_sha256": hashlib.sha256(onnx).hexdigest()}
    document = json.loads(json.dumps(document))  # tuples become lists, as they will be read
    document["content_hash"] = _hash_of(document)
    return dict(document)


def _hash_of(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _card(document: dict[str, Any]) -> ModelCard:
    known = {f.name for f in fields(ModelCard)} | {"schema_version"}
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"unknown fields {', '.join(unknown)}, written by a newer forescale")
    schema = _record(FeatureSchema, document["schema"])
    online = _record(OnlineSettings, document["online"])
    training = dict(document["training"])
    training["history"] = tuple(tuple(row) for row in training.get("history", ()))
    levels = tuple(float(level) for level in document["levels"])
    if not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
        raise ValueError(f"quantile levels {levels} must rise within (0, 1)")
    if not 1 <= schema.horizon <= MAX_HORIZON:
        raise ValueError(f"a horizon of {schema.horizon} steps is outside 1 to {MAX_HORIZON}")
    return ModelCard(
        step_seconds=int(document["step_seconds"]),
        season_seconds=tuple(int(season) for season in document["season_seconds"]),
        levels=levels,
        schema=schema,
        online=online,
        offsets={str(name): float(value) for name, value in document["offsets"].items()},
        training=_record(TrainingFacts, training),
        code_version=str(document["code_version"]),
        created_at=str(document["created_at"]),
        onnx_sha256=str(document["onnx_sha256"]),
        marks={str(name): _record(Mark, value) for name, value in document.get("marks", {}).items()},
    )


def _record(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """A frozen dataclass from JSON: lists become tuples, an unknown or missing field is a TypeError."""
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(fresh: Path, directory: Path) -> None:
    """Give `fresh` the directory's name; the old bundle is kept aside until that has happened."""
    aside = fresh.with_name(fresh.name + ".old")
    replaced = directory.exists()
    if replaced:
        directory.rename(aside)
    try:
        fresh.rename(directory)
    except OSError as error:
        if replaced:
            aside.rename(directory)
        raise BundleError(f"{directory}: cannot be replaced ({error.strerror}); the old bundle is untouched") from error
    shutil.rmtree(aside, ignore_errors=True)
