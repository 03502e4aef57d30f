"""Leader election on a Lease: who may write, and until when.

A lease counts as lost to its holder after `renew_seconds` without a renewal, and as free to others only
`lease_seconds` after they last saw it change, by their own monotonic clocks: nobody's idea of the time of day matters.
Every request takes at most `lease_seconds - renew_seconds`, so one that was begun while leading has ended before
somebody else can lead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from controller.kube.api import Json, KubeApi
from controller.kube.errors import ConflictError, KubeError, NotFoundError, NotLeadingError
from predictor.errors import InputError

log = logging.getLogger("forescale.leadership")


class Leadership:
    """One candidate.  `start` it; `check` before every write."""

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        lease_seconds: float = 15.0,
        renew_seconds: float = 10.0,
        retry_seconds: float = 2.0,
        changed: Callable[[bool], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """api: not guarded by this leadership.  changed: called when it begins or ends."""
        if not 0 < retry_seconds < renew_seconds < lease_seconds:
            raise InputError(
                f"lease: retry {retry_seconds:g} s, renew {renew_seconds:g} s, lease {lease_seconds:g} s; "
                "give them in growing order"
            )
        self.identity = identity
        self._api, self._name = api, name
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._lease_seconds, self._renew_seconds, self._retry_seconds = lease_seconds, renew_seconds, retry_seconds
        self._changed, self._monotonic = changed, monotonic
        self._held_until = float("-inf")
        self._was_leading = False
        self._observed: tuple[str, float] = ("", float("-inf"))  # version of another's lease, when it was first seen
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self.transitions = 0

    @property
    def is_leading(self) -> bool:
        """Whether this process may write now."""
        return self._monotonic() < self._held_until

    @property
    def hears_leader(self) -> bool:
        """Whether somebody, perhaps this process, has renewed the lease lately."""
        return self.is_leading or self._monotonic() - self._observed[1] <= self._lease_seconds

    def check(self) -> None:
        """Raises NotLeadingError unless this process may write now."""
        if not self.is_leading:
            raise NotLeadingError(f"{self.identity} does not hold the lease {self._name}: nothing is written")

    def start(self) -> None:
        """Begin to stand for election."""
        self._thread.start()

    def stop(self) -> None:
        """Stop leading at once and give the lease back, so that another need not wait for it to expire."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        was_leading, self._held_until = self.is_leading, float("-inf")
        if was_leading:
            try:
                lease = self._api.get(f"{self._collection}/{self._name}")
                if lease["spec"].get("holderIdentity") == self.identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                    self._api.replace(f"{self._collection}/{self._name}", lease)
            except KubeError as error:
                log.warning("the lease could not be given back and will expire: %s", error)
        self._tell()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step()
            self._stop.wait(self._retry_seconds)

    def step(self) -> None:
        """Renew or try to take the lease once."""
        begun = self._monotonic()
        try:
            if self._obtain(begun):
                self._held_until = begun + self._renew_seconds
        except ConflictError:
            pass  # another was faster; the next look tells who
        except KubeError as error:
            if self.is_leading:
                log.warning("the lease could not be renewed: %s", error)
            else:
                log.info("no lease: %s", error)
        self._tell()

    def _obtain(self, now: float) -> bool:
        """Whether the lease is ours; raises KubeError."""
        try:
            lease = self._api.get(f"{self._collection}/{self._name}")
        except NotFoundError:
            self._api.create(self._collection, self._fresh())
            return True
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity") or ""
        if holder == self.identity:
            spec["renewTime"] = _now()
        elif holder and not self._has_expired(lease, now):
            self._held_until = float("-inf")  # it is somebody else's, whatever we thought
            return False
        else:
            self.transitions = int(spec.get("leaseTransitions") or 0) + 1
            spec.update(self._fresh()["spec"], leaseTransitions=self.transitions)
        self._api.replace(f"{self._collection}/{self._name}", lease)  # carries the version that was read
        return True

    def _has_expired(self, lease: Json, now: float) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if version != self._observed[0]:
            self._observed = (version, now)
            return False
        duration = float(lease["spec"].get("leaseDurationSeconds") or self._lease_seconds)
        return now - self._observed[1] > max(duration, self._lease_seconds)

    def _fresh(self) -> Json:
        now = _now()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, round(self._lease_seconds)),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _tell(self) -> None:
        leads = self.is_leading
        if leads != self._was_leading:
            self._was_leading = leads
            log.info("%s %s", self.identity, "leads" if leads else "does not lead any more")
            if self._changed is not None:
                self._changed(leads)


def _now() -> str:
    """For people and other controllers; decisions of ours do not look at it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
