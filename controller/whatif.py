"""What would have been: the very decisions, over recorded inputs, with other settings.  Pure: no I/O, no clock.

An override makes other inputs of the recorded ones; both are then replayed alike.  What is held is a floor as if it were
carried out, in Observe mode too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from controller.capacity import lead_steps, peak_demand, reactive_replicas
from controller.decision import decide
from controller.notes import notes_of
from controller.settings import changed
from controller.spec import ScalingSpec
