from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from predictor.errors import InputError, SeriesError
from predictor.files import read_file, read_series_file

NAN = float("nan")
ROWS = ("2026-05-04T12:00:00Z,5", "2026-05-04T12:01:00Z,", "2026-05-04T12:02:00Z,7.5")


def a_csv(folder: Path, *rows: str, header: str = "timestamp,requests", name: str = "web.csv") -> Path:
    path = folder / name
    text = "\n".join((header, *(rows or ROWS))) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def a_frame() -> pd.DataFrame:
    instants = pd.date_range("2026-05-04T12:00", periods=3, freq="min", tz="UTC")
    return pd.DataFrame({"timestamp": instants, "requests": [5, NAN, 7.5]})


@pytest.mark.parametrize("name", ["web.csv", "web.csv.gz"])
def test_a_csv_file_is_read_plain_or_compressed(tmp_path: Path, name: str) -> None:
    series = read_series_file(a_csv(tmp_path, name=name), 60)

    assert (series.name, series.start) == ("web", datetime(2026, 5, 4, 12, tzinfo=UTC))
    np.testing.assert_array_equal(series.values, [5, NAN, 7.5])


@pytest.mark.parametrize("name", ["web.parquet", "web.parquet.gz"])
def test_a_parquet_file_is_read_plain_or_compressed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = a_frame().to_parquet()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    series = read_series_file(path, 60)

    assert (series.name, series.start) == ("web", datetime(2026, 5, 4, 12, tzinfo=UTC))
    np.testing.assert_array_equal(series.values, [5, NAN, 7.5])


def test_a_parquet_file_with_its_timestamps_as_index_is_read_too(tmp_path: Path) -> None:
    a_frame().set_index("timestamp").to_parquet(tmp_path / "web.parquet")

    assert len(read_series_file(tmp_path / "web.parquet", 60)) == 3


@pytest.mark.parametrize(
    "rows",
    [
        ("1777896000,5", "1777896060,", "1777896120,7.5"),
        ("1777896000.0,5", "1777896060.0,nan", "1777896120.0,7.5"),
        ("2026-05-04T14:00:00+02:00,5", "2026-05-04 12:01Z,", "2026-05-04T12:02:00.000Z,7.5"),
    ],
)
def test_timestamps_are_unix_seconds_or_iso_with_any_zone(tmp_path: Path, rows: tuple[str, ...]) -> None:
    reading = read_file(a_csv(tmp_path, *rows), 60)

    assert reading.series.start == datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert reading.notes == ()


def test_timestamps_without_a_zone_are_taken_as_utc_and_that_is_said(tmp_path: Path) -> None:
    reading = read_file(a_csv(tmp_path, "2026-05-04 12:00,1", "2026-05-04 12:01,2"), 60)

    assert reading.series.start == datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert reading.notes == ("timestamps without a time zone are taken as UTC",)


def test_further_columns_are_leading_indicators_on_the_same_grid(tmp_path: Path) -> None:
    path = a_csv(
        tmp_path,
        "1777896000,5,1,9",
        "1777896120,7,3,",
        "1777896180,8,4,2",
        header="timestamp,requests,queue,logins",
        name="web.csv",
    )

    reading = read_file(path, 60, ("logins", "queue"))

    np.testing.assert_array_equal(reading.covariates, [[9, 1], [NAN, NAN], [NAN, 3], [2, 4]])


def test_the_order_of_columns_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = a_csv(tmp_path, "5,1777896000", "6,1777896060", header="\ufeffrequests, timestamp ")

    assert read_series_file(path, 60).values.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("1777896000,5", "", "1777896060,many"), r"line 4: 'many' in column requests is not a number"),
        (("1777896000,5", "1777896060,1,5"), "cannot be read"),
        (("1777896000,5", "yesterday,6"), "line 3: timestamp 'yesterday' cannot be read"),
        (("1777896000,5", ",6"), "line 3: timestamp '' is empty"),
        (("1777896000000,5",), "line 2: timestamp '1777896000000' is not in unix seconds"),
        (("1777896000.5,5",), "line 2: timestamp '1777896000.5' is not a whole second"),
        (("2026-05-04T12:00:00.5Z,5",), "line 2: timestamp '2026-05-04T12:00:00.5Z' is not a whole second"),
        (("1777896000,5", "1777896060,-6"), r"negative.*-6 at 2026-05-04T12:01:00\+00:00 \(line 3\)"),
        (("1777896000,5", "1777896060,inf"), r"infinite.*\(line 3\)"),
        (("1777896060,5", "1777896000,6"), r"goes back.*\(line 3\)"),
        (("1777896000,5", "1777896000,6"), r"several values.*with 5 and 6 \(line 3\)"),
    ],
)
def test_an_unusable_line_is_named(tmp_path: Path, rows: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_series_file(a_csv(tmp_path, *rows), 60)


def test_a_file_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column requests among timestamp, visits"):
        read_series_file(a_csv(tmp_path, header="timestamp,visits"), 60)


def test_a_header_without_rows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "web.csv"
    path.write_text("timestamp,requests\n")

    with pytest.raises(SeriesError, match="no rows"):
        read_series_file(path, 60)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("web.csv", b"", "cannot be read"),
        ("web.csv.gz", b"plain text", "cannot be read"),
        ("web.csv.gz", gzip.compress(b"timestamp,requests\n1,2\n" * 999, mtime=0)[:-20], "cannot be read"),
        ("web.parquet", b"PAR1 and no more", "cannot be read"),
        ("web.csv", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_broken_file_is_told_from_a_missing_one(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=said):
        read_series_file(tmp_path / name, 60)
    with pytest.raises(InputError, match="no such file"):
        read_series_file(tmp_path / "other.csv", 60)


def test_every_trace_of_real_demand_reads(traces: Path) -> None:
    for path in sorted(traces.glob("*.csv.gz")):
        series = read_series_file(path, 60)

        assert len(series) > 15_000, path
        assert series.missing_ratio < 0.06, path
