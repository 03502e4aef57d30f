"""Known events, past and announced: a CSV of `start,end` becomes 0/1 flags on a series' grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictor.errors import InputError
from predictor.series import FloatArray, Series

if TYPE_CHECKING:
    import pandas as pd


def read_events(path: Path) -> tuple[tuple[pd.Timestamp, pd.Timestamp], ...]:
    """Read `start,end` in ISO 8601 (UTC when no zone is given); raises InputError naming the line."""
    import pandas as pd  # most of a second that the server does not need

    try:
        table = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; --events names a readable CSV file") from error
    except ValueError as error:  # pandas' parse errors
        raise InputError(f"{path}: cannot be read as CSV ({error}); the columns are start,end") from error
    table.columns = table.columns.str.strip()
    if not {"start", "end"} <= set(table.columns):
        raise InputError(f"{path}: the columns are {', '.join(table.columns)}; the header must be start,end")
    starts, ends = (
        pd.to_datetime(table[column], utc=True, errors="coerce", format="ISO8601") for column in ("start", "end")
    )
    unread = np.flatnonzero(starts.isna() | ends.isna())
    if unread.size:
        raise InputError(f"{path}, line {unread[0] + 2}: start and end must be ISO 8601, like 2026-11-27T08:00Z")
    backward = np.flatnonzero(ends <= starts)
    if backward.size:
        raise InputError(f"{path}, line {backward[0] + 2}: the event does not end after its start")
    return tuple(zip(starts, ends, strict=True))


def flag_events(events: tuple[tuple[pd.Timestamp, pd.Timestamp], ...], series: Series, horizon: int) -> FloatArray:
    """1 at every instant with `start <= instant < end` of some event, else 0.

    Returns (time + horizon,): the series' own grid and `horizon` steps beyond, where events are announced.
    """
    import pandas as pd  # most of a second that the server does not need

    step = pd.Timedelta(seconds=series.step_seconds)
    length = len(series) + horizon
    flags = np.zeros(length)
    for start, end in events:
        first, stop = (-((series.start - instant) // step) for instant in (start, end))  # rounded up
        flags[min(max(first, 0), length) : min(max(stop, 0), length)] = 1.0
    return flags
