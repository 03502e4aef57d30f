from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import InputError
from predictor.events import flag_events, read_events
from predictor.series import FloatArray, Series

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def flags(path: Path, *rows: str, horizon: int = 3) -> FloatArray:
    """Of five minutes from noon."""
    path.write_text("\n".join(("start,end,name", *rows)))
    return flag_events(read_events(path), Series("web", NOON, 60, np.ones(5)), horizon)


def test_an_event_lasts_from_its_start_until_just_before_its_end(tmp_path: Path) -> None:
    found = flags(tmp_path / "e.csv", "2026-05-04T12:01Z,2026-05-04T12:03Z,sale")

    assert found.tolist() == [0, 1, 1, 0, 0, 0, 0, 0]


def test_events_reach_beyond_both_ends_and_into_the_announced_future(tmp_path: Path) -> None:
    found = flags(
        tmp_path / "e.csv", "2020-01-01,2026-05-04T12:00:30Z,old", "2026-05-04T14:06+02:00,2026-05-05T00:00Z,new"
    )

    assert found.tolist() == [1, 0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("row", "said"), [("soon,2026-05-04,x", "line 2: start and end must be"), ("2026-05-04,2026-05-04,x", "line 2")]
)
def test_an_event_that_makes_no_sense_is_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        flags(tmp_path / "e.csv", row)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("from,to\n1,2\n")

    with pytest.raises(InputError, match="the header must be start,end"):
        read_events(tmp_path / "e.csv")
    with pytest.raises(InputError, match="No such file"):
        read_events(tmp_path / "absent.csv")
