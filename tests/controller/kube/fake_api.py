"""A Kubernetes API in memory, as far as HPAs need it: versions, field managers, server-side apply, merge patches.

For sequences too many for a real server.  test_fake_api.py holds it against the real one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.kube.api import Json, KubeApi
from controller.kube.errors import KubeError, error_for

Path = tuple[str, ...]  # of a field
Manager = tuple[str, str]  # name, and Apply or Update
_MISSING = object()


@dataclass(slots=True)
class Stored:
    """One object, and who owns which of its fields."""

    body: Json
    managed: dict[Manager, set[Path]] = field(default_factory=dict)

    def manifest(self) -> Json:
        """As a GET gives it."""
        shown = copy.deepcopy(self.body)
        shown["metadata"]["managedFields"] = [
            {"manager": name, "operation": operation, "fieldsV1": _tree(paths)}
            for (name, operation), paths in self.managed.items()
        ]
        return shown


@dataclass(slots=True)
class Store:
    """The objects by path; `before_write` may raise, or do something in between, and `wrote` is told afterwards."""

    objects: dict[str, Stored] = field(default_factory=dict)
    before_write: Callable[[str, str], None] = lambda method, path: None
    wrote: Callable[[str, str], None] = lambda method, path: None
    version: int = 100

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)


class FakeApi(KubeApi):
    """Requests to a store."""

    def __init__(self, store: Store, *, may_write: Callable[[], None] | None = None) -> None:
        self.store, self._guard = store, may_write

    def guarded(self, may_write: Callable[[], None]) -> FakeApi:
        return FakeApi(self.store, may_write=may_write)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        return self._found(path).manifest()

    def create(self, path: str, body: Json) -> Json:
        at = f"{path}/{body['metadata']['name']}"
        self._begin("POST", at)
        if at in self.store.objects:
            raise error_for(409, "AlreadyExists", "it is there", f"POST {path}")
        made = self._made(at, body)
        made.managed[("tests", "Update")] = {leaf for leaf, _ in _leaves(made.body)}
        return self._done("POST", at)

    def replace(self, path: str, body: Json) -> Json:
        self._begin("PUT", path)
        stored = self._found(path)
        self._insist(path, stored, body)
        self._update(path, stored, copy.deepcopy(body), "tests")
        return self._done("PUT", path)

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        self._begin("PATCH", path)
        stored = self._found(path)
        self._insist(path, stored, body)
        self._update(path, stored, _merged(stored.body, body), manager)
        return self._done("PATCH", path)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        self._begin("PATCH", path)
        stored = self.store.objects.get(path)
        if stored is None:
            if body["metadata"].get("uid"):
                raise error_for(409, "Conflict", "uid mismatch", f"PATCH {path}")
            stored = self._made(path, body)
            stored.managed[(manager, "Apply")] = {leaf for leaf, _ in _leaves(body)}
            return self._done("PATCH", path)
        self._insist(path, stored, body)
        wanted = dict(_leaves(body))
        changed = {leaf for leaf, value in wanted.items() if _value(stored.body, leaf) != value}
        me = (manager, "Apply")
        rivals = [who for who, paths in stored.managed.items() if who != me and paths & changed]
        if rivals and not force:
            raise error_for(409, "Conflict", f"conflict with {rivals}", f"PATCH {path}")
        managed = {who: paths - changed if who != me else set(paths) for who, paths in stored.managed.items()}
        dropped = managed.pop(me, set()) - wanted.keys()
        after = copy.deepcopy(stored.body)
        for leaf in dropped:
            if not any(leaf in paths for paths in managed.values()):
                _drop(after, leaf)
        for leaf, value in wanted.items():
            _put(after, leaf, value)
        managed[me] = set(wanted)
        self._commit(path, stored, after, managed)
        return self._done("PATCH", path)

    def delete(self, path: str) -> Json:
        self._begin("DELETE", path)
        self._found(path)
        del self.store.objects[path]
        self.store.wrote("DELETE", path)
        return {}

    def set_status(self, path: str, status: Json) -> None:
        """As the HPA controller does: a new version, and no owner of anything that we look at."""
        stored = self._found(path)
        stored.body["status"] = status
        stored.body["metadata"]["resourceVersion"] = self.store.next_version()

    def _begin(self, method: str, path: str) -> None:
        if self._guard is not None:
            self._guard()
        self.store.before_write(method, path)

    def _done(self, method: str, path: str) -> Json:
        answer = self.store.objects[path].manifest()
        self.store.wrote(method, path)
        return answer

    def _found(self, path: str) -> Stored:
        if path not in self.store.objects:
            raise error_for(404, "NotFound", "it is not there", path)
        return self.store.objects[path]

    def _made(self, path: str, body: Json) -> Stored:
        made = copy.deepcopy(body)
        namespace = path.split("/namespaces/")[1].split("/", maxsplit=1)[0]
        meta = made["metadata"]
        meta.update(namespace=namespace, uid=f"uid-{self.store.next_version()}")
        meta["resourceVersion"] = self.store.next_version()
        _default(made)
        _validate(path, made)
        self.store.objects[path] = Stored(made)
        return self.store.objects[path]

    def _insist(self, path: str, stored: Stored, body: Json) -> None:
        """On the version and the object that the caller has seen."""
        for name in ("uid", "resourceVersion"):
            asked = body.get("metadata", {}).get(name)
            if asked and asked != stored.body["metadata"][name]:
                raise error_for(409, "Conflict", f"{name} is another by now", f"PATCH {path}")

    def _update(self, path: str, stored: Stored, after: Json, manager: str) -> None:
        _default(after)
        before_leaves, after_leaves = dict(_leaves(stored.body)), dict(_leaves(after))
        changed = {leaf for leaf, value in after_leaves.items() if before_leaves.get(leaf, _MISSING) != value}
        gone = before_leaves.keys() - after_leaves.keys()
        me = (manager, "Update")
        managed = {who: paths - gone if who == me else paths - gone - changed for who, paths in stored.managed.items()}
        managed[me] = managed.get(me, set()) | changed
        self._commit(path, stored, after, managed)

    def _commit(self, path: str, stored: Stored, after: Json, managed: dict[Manager, set[Path]]) -> None:
        _default(after)
        _validate(path, after)
        managed = {who: paths for who, paths in managed.items() if paths}
        if dict(_leaves(after)) != dict(_leaves(stored.body)) or managed != stored.managed:
            after["metadata"]["resourceVersion"] = self.store.next_version()
        stored.body, stored.managed = after, managed


def _validate(path: str, body: Json) -> None:
    if body.get("kind") != "HorizontalPodAutoscaler":
        return
    if not 0 < body["spec"].get("maxReplicas", 0) >= body["spec"]["minReplicas"]:
        raise KubeError(f"PATCH {path}: maxReplicas must be at least minReplicas (HTTP 422)", 422, "Invalid")


def _default(body: Json) -> None:
    if body.get("kind") == "HorizontalPodAutoscaler":
        body["spec"].setdefault("minReplicas", 1)


def _leaves(body: Json) -> Iterator[tuple[Path, Any]]:
    """Fields that have owners: the spec's, and annotations one by one."""
    for name, value in (body.get("spec") or {}).items():
        if isinstance(value, dict) and name != "behavior":
            for inner, deep in value.items():
                yield ("spec", name, inner), deep
        else:
            yield ("spec", name), value
    for name, value in (body.get("metadata", {}).get("annotations") or {}).items():
        yield ("metadata", "annotations", name), value


def _value(body: Json, path: Path) -> Any:
    found: Any = body
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return _MISSING
        found = found[name]
    return found


def _put(body: Json, path: Path, value: Any) -> None:
    at = body
    for name in path[:-1]:
        at = at.setdefault(name, {})
    at[path[-1]] = copy.deepcopy(value)


def _drop(body: Json, path: Path) -> None:
    at = body
    for name in path[:-1]:
        at = at.get(name, {})
    at.pop(path[-1], None)


def _merged(target: Any, patch: Json) -> Json:
    """RFC 7396."""
    made: Json = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            made[name] = _merged(made.get(name), value)
        else:
            made[name] = value
    return made


def _tree(paths: set[Path]) -> Json:
    """As fieldsV1 writes them."""
    tree: Json = {}
    for path in sorted(paths):
        at = tree
        for name in path:
            at = at.setdefault(f"f:{name}", {})
    return json.loads(json.dumps(tree))  # type: ignore[no-any-return]
