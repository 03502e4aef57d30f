"""Earlier bundles of a model directory: kept beside it, put back when asked.  Reads and writes files."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.bundle import Bundle, read_bundle, write_bundle
from predictor.errors import BundleError, InputError

LOG = "history.jsonl"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Version:
    """A kept bundle."""

    path: Path
    bundle: Bundle

    @property
    def hash(self) -> str:
        """Its short hash."""
        return self.bundle.short_hash


class Versions:
    """`models/web` keeps them in `models/web.versions/`."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.folder = model.with_name(model.name + ".versions")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One job at a time; raises InputError when there is another."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"{self.model}: another job works on it; wait until it is done") from error
            yield

    def promote(self, bundle: Bundle, keep: int) -> None:
        """Put a bundle in service at one stroke; what was there is kept, and of the kept the newest `keep`."""
        if self.model.is_dir():
            self._keep_current()
        write_bundle(self.model, bundle.card, bundle.onnx)
        for old in self.kept()[keep:]:
            shutil.rmtree(old.path)

    def kept(self) -> list[Version]:
        """Newest first; damaged ones are left out."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith((".", "damaged-")):
                try:
                    found.append(Version(path, read_bundle(path)))
                except BundleError:
                    continue
        return sorted(found, key=lambda version: version.bundle.card.created_at, reverse=True)

    def find(self, wanted: str) -> Version:
        """The one whose hash begins so, or with "" the newest that is not in service."""
        try:
            current = read_bundle(self.model).content_hash
        except BundleError:
            current = ""
        for version in self.kept():
            is_other = version.bundle.content_hash != current
            if (wanted and version.bundle.content_hash.startswith(wanted)) or (not wanted and is_other):
                return version
        known = ", ".join(version.hash for version in self.kept()) or "none"
        raise InputError(f"{self.folder}: no version {wanted or 'to go back to'}; kept are: {known}")

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line to the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def notes(self) -> list[dict[str, Any]]:
        """Every line of the log, oldest first; a torn last line is left out."""
        path, found = self.folder / LOG, []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def _keep_current(self) -> None:
        try:
            bundle = read_bundle(self.model)
        except BundleError:
            number = sum(path.name.startswith("damaged-") for path in self.folder.iterdir()) + 1
            shutil.copytree(self.model, self.folder / f"damaged-{number}")  # for whoever wants to know what happened
            return
        stamp = re.sub(r"[^0-9]", "", bundle.card.created_at)[:14]
        write_bundle(self.folder / f"{stamp}-{bundle.short_hash}", bundle.card, bundle.onnx)
