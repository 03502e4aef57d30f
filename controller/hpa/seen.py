"""What the HPA sees at one instant: the scale, the pods, the metrics.  Frozen data.

Named tuples throughout: the simulator makes one `Seen` per step, and frozen dataclasses cost three times as much.
Instants are seconds on any clock, as long as it is the same one everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

_NO_REQUESTS: Mapping[str, int] = MappingProxyType({})


class Phase(StrEnum):
    """Of a pod's life."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class Pod(NamedTuple):
    """One pod that the scale's selector finds."""

    name: str
    phase: Phase = Phase.RUNNING
    is_ready: bool | None = None  # the Ready condition; None: not there yet
    ready_since: float | None = None  # its last transition, in whichever direction
    started: float | None = None  # None: the kubelet has not taken it up
    is_deleting: bool = False
    requests_milli: Mapping[str, int] = _NO_REQUESTS  # resource name -> sum over the containers


class Sample(NamedTuple):
    """One pod's value."""

    milli: int
    at: float = 0.0  # end of the window it was measured in; matters for CPU only


class PodValues(NamedTuple):
    """Reading of a Resource or Pods metric.  Pods may lack a sample, and pods that are gone may still have one."""

    samples: Mapping[str, Sample]
    window_seconds: float = 0.0


class Values(NamedTuple):
    """Reading of an Object metric (one value) or an External one (those of all series, which are added up)."""

    milli: tuple[int, ...]


class Failed(NamedTuple):
    """A metric that could not be read; an empty reading counts as failed too."""

    why: str = ""


Reading = PodValues | Values | Failed


class Seen(NamedTuple):
    """Everything a step looks at besides the spec and its memory.  The bounds override the spec's when given."""

    now: float
    spec_replicas: int  # what was asked for
    status_replicas: int  # pods that exist
    min_replicas: int | None = None
    max_replicas: int | None = None
    pods: tuple[Pod, ...] = ()
    readings: tuple[Reading, ...] = ()  # one per metric of the spec, in its order
