"""Kubernetes Events for what a person should notice; the same one again only after a while, with how often it was."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.kube.api import Json, KubeApi
from controller.kube.errors import KubeError

log = logging.getLogger("forescale.events")

_QUIET = timedelta(minutes=10)
_MOST_REMEMBERED = 20_000
_LONGEST_NOTE = 1000  # the API server's limit is 1024


class EventType(StrEnum):
    """Whether it is a cause for concern."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(slots=True)
class _Told:
    """When a reason was last told of an object, and how often it was not since."""

    at: datetime
    note: str
    swallowed: int = 0


class EventRecorder:
    """Writes events.k8s.io/v1.  A failure is logged and forgotten: an event must not stop a decision."""

    def __init__(self, api: KubeApi, *, controller: str, instance: str) -> None:
        self._api, self._controller, self._instance = api, controller, instance
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()

    def record(self, regarding: Json, type_: EventType, reason: str, action: str, note: str, *, now: datetime) -> bool:
        """Write one; False when it was said a short while ago.

        regarding: apiVersion, kind, namespace, name and uid of the object.
        """
        key = (regarding["uid"], reason)
        told = self._told.get(key)
        if told is not None and now - told.at < _QUIET:
            told.swallowed += 1
            return False
        if told is not None and told.swallowed:
            note = f"{note} (and {told.swallowed} times more since {told.at:%H:%M} UTC)"
        self._told[key] = _Told(now, note)
        self._told.move_to_end(key)
        while len(self._told) > _MOST_REMEMBERED:
            self._told.popitem(last=False)
        body: Json = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{regarding['name'][:200]}.{secrets.token_hex(8)}",
                "namespace": regarding["namespace"],
            },
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "type": type_.value,
            "reason": reason,
            "action": action,
            "note": note[:_LONGEST_NOTE],
            "regarding": regarding,
        }
        try:
            self._api.create(f"/apis/events.k8s.io/v1/namespaces/{regarding['namespace']}/events", body)
        except KubeError as error:
            log.warning("an event was lost: %s", error)
        return True
