"""A local copy of one kind of object, kept by a watch: list once, follow, resume where it broke, list anew on 410.

Objects are reduced to what the controller needs as they arrive: a thousand whole pods would cost more memory than
everything else together.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from controller.kube.api import Json, KubeApi
from controller.kube.errors import ForbiddenError, GoneError, KubeError, NotFoundError, error_for

log = logging.getLogger("forescale.watch")

_T = TypeVar("_T")
_WATCH_SECONDS = 120  # after so long the server ends a watch; the next one goes on from there
_PATIENCE_SECONDS = 135.0  # without a byte: the server would have ended it by then
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 15.0
_Id = tuple[str, str]  # namespace and name


class Reflector(Generic[_T]):
    """See the module.  `start` it; any thread may look."""

    def __init__(
        self,
        api: KubeApi,
        path: str,
        reduce: Callable[[Json], _T | None],
        *,
        params: Mapping[str, str] | None = None,
        changed: Callable[[], None] | None = None,
        seen: Callable[[str, _T | None, _T | None], None] | None = None,
    ) -> None:
        """path: of the collection.  reduce: what is kept of an object; None keeps nothing.

        changed: called after every change.  seen: called with (type, before, after) under the reflector's own thread.
        """
        self.path = path
        self._api, self._reduce, self._params = api, reduce, dict(params or {})
        self._changed, self._seen = changed, seen
        self._rows: dict[_Id, _T] = {}
        self._versions: dict[_Id, str] = {}
        self._version: str | None = None
        self._lock = threading.Lock()
        self._synced, self._stop = threading.Event(), threading.Event()
        self._fresh_at: float | None = None
        self.error: KubeError | None = None
        self.lists = 0  # how often everything was read
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a watch that waits ends with the process."""
        self._stop.set()

    def wait_until_synced(self, seconds: float) -> bool:
        """Whether everything was read once."""
        return self._synced.wait(seconds)

    @property
    def is_synced(self) -> bool:
        """Whether everything was read once."""
        return self._synced.is_set()

    def silent_seconds(self) -> float | None:
        """Since the server was last heard; None before the first list."""
        return None if self._fresh_at is None else time.monotonic() - self._fresh_at

    def get(self, namespace: str, name: str) -> _T | None:
        """One object."""
        with self._lock:
            return self._rows.get((namespace, name))

    def all(self) -> list[_T]:
        """Every object."""
        with self._lock:
            return list(self._rows.values())

    def put(self, manifest: Json) -> None:
        """Take in the answer to a write of ours, before the watch tells of it."""
        meta = manifest["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        row = self._reduced(manifest)
        with self._lock:
            if row is not None and key in self._versions and _is_later(meta["resourceVersion"], self._versions[key]):
                self._rows[key], self._versions[key] = row, meta["resourceVersion"]

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if self._version is None:
                    self._list()
                self._follow()
                failures = 0
            except GoneError:
                self._version = None  # compacted away: everything anew
            except KubeError as error:
                self._note(error)
                failures += 1
                if isinstance(error, (ForbiddenError, NotFoundError)):
                    self._version = None
                wait = min(_FIRST_WAIT_SECONDS * 2**failures, _LONGEST_WAIT_SECONDS)
                self._stop.wait(wait * (0.5 + random.random() / 2))  # noqa: S311 - spreads requests, hides nothing
            except Exception:
                log.exception("watching %s failed; everything is read anew", self.path)
                self._version = None
                self._stop.wait(1.0)

    def _note(self, error: KubeError) -> None:
        if self.error is None or str(self.error) != str(error):
            log.warning("%s; trying again", error)
        self.error = error

    def _list(self) -> None:
        items, version = self._api.get_all(self.path, self._params)
        rows: dict[_Id, _T] = {}
        versions: dict[_Id, str] = {}
        for item in items:
            row = self._reduced(item)
            if row is not None:
                meta = item["metadata"]
                key = (meta.get("namespace", ""), meta["name"])
                rows[key], versions[key] = row, meta["resourceVersion"]
        with self._lock:
            before, self._rows, self._versions = self._rows, rows, versions
        self._version, self.lists = version, self.lists + 1
        if self._seen is not None:
            for key in before.keys() | rows.keys():
                old, new = before.get(key), rows.get(key)
                if old != new:
                    self._seen("LISTED", old, new)
        self._heard()
        self._synced.set()
        self._tell()

    def _follow(self) -> None:
        params = {
            **self._params,
            "resourceVersion": self._version or "",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        for event in self._api.watch(self.path, params, patience_seconds=_PATIENCE_SECONDS):
            self._heard()
            self._take(event)
            if self._stop.is_set():
                return

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise error_for(int(item.get("code", 500)), item.get("reason", ""), item.get("message", ""), self.path)
        meta = item["metadata"]
        self._version = meta["resourceVersion"]
        if kind == "BOOKMARK":
            return
        key = (meta.get("namespace", ""), meta["name"])
        row = None if kind == "DELETED" else self._reduced(item)
        with self._lock:
            before = self._rows.get(key)
            if row is None:
                self._rows.pop(key, None)
                self._versions.pop(key, None)
            elif key not in self._versions or _is_later(meta["resourceVersion"], self._versions[key]):
                self._rows[key], self._versions[key] = row, meta["resourceVersion"]
        if self._seen is not None:
            self._seen(str(kind), before, row)
        self._tell()

    def _reduced(self, item: Json) -> _T | None:
        """One object that cannot be read must not blind us to all others."""
        try:
            return self._reduce(item)
        except Exception:
            meta = item.get("metadata") or {}
            log.exception("%s: %s/%s cannot be read", self.path, meta.get("namespace"), meta.get("name"))
            return None

    def _heard(self) -> None:
        self._fresh_at, self.error = time.monotonic(), None

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()


def _is_later(version: str, known: str) -> bool:
    """Whether one version of an object replaces another; versions of one kind are numbers that grow."""
    return not (version.isdigit() and known.isdigit()) or int(version) >= int(known)
