"""Reads demand from CSV and Parquet files, plain or gzip: columns `timestamp,requests`."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictor.errors import InputError, SeriesError
from predictor.quality import IntArray, Reading, place_on_grid
from predictor.series import FloatArray, Series

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMP, VALUE = "timestamp", "requests"
_NOT_OBSERVED = ("", "nan")
_HAS_ZONE = r"[T ].*(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_FIRST_MILLISECONDS = 1e11  # as seconds, this is the year 5138
_ENDINGS = (".gz", ".csv", ".parquet")


def read_series_file(path: Path, step_seconds: int) -> Series:
    """Read one series; see `read_file`."""
    return read_file(path, step_seconds).series


def read_file(path: Path, step_seconds: int, covariates: Sequence[str] = ()) -> Reading:
    """Read one series and, as leading indicators, the columns named by `covariates`.

    Timestamps are ISO 8601 (UTC when no zone is given) or unix seconds; an empty field means "not observed".
    Raises InputError or SeriesError naming the line.
    """
    table = _read_table(path)
    absent = [column for column in (TIMESTAMP, VALUE, *covariates) if column not in table.columns]
    if absent:
        raise InputError(
            f"{path}: no column {' and '.join(absent)} among {', '.join(table.columns)}; "
            f"the header must be {','.join((TIMESTAMP, VALUE, *covariates))}"
        )
    if table.empty:
        raise SeriesError(f"{path}: no rows below the header")
    instants, notes = _timestamps(path, table[TIMESTAMP])
    columns = [_numbers(path, table[column]) for column in (VALUE, *covariates)]
    infinite = np.flatnonzero(np.isinf(np.column_stack(columns[1:])).any(axis=1)) if covariates else np.empty(0)
    if infinite.size:
        raise InputError(f"{path}, {_line(path, table, int(infinite[0]))}: a covariate is infinite; leave it empty")
    reading = place_on_grid(
        name_of(path),
        instants,
        columns[0],
        step_seconds,
        covariates=np.column_stack(columns[1:]) if covariates else None,
        place=lambda row: _line(path, table, row),
    )
    return Reading(reading.series, reading.covariates, reading.duplicates_dropped, (*notes, *reading.notes))


def name_of(path: Path) -> str:
    """The file's name without its endings."""
    name = path.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _read_table(path: Path) -> pd.DataFrame:
    """The file as it is; a CSV's fields stay text, and its index counts lines, blank ones included."""
    import pandas as pd  # most of a second that the server does not need

    try:
        if ".parquet" in path.suffixes:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            table = pd.read_parquet(io.BytesIO(data))
            if TIMESTAMP not in table.columns and table.index.name == TIMESTAMP:
                table = table.reset_index()
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason}); give CSV or Parquet with {TIMESTAMP},{VALUE}") from error
    table.columns = table.columns.map(str).str.strip()
    is_blank = (table.isna() | (table == "")).all(axis=1)
    return table[~is_blank]


def _line(path: Path, table: pd.DataFrame, row: int) -> str:
    """Where a row stands in the file: Parquet has rows, CSV has lines with a header above."""
    at = int(table.index[row])
    return f"row {at + 1}" if ".parquet" in path.suffixes else f"line {at + 2}"


def _numbers(path: Path, column: pd.Series) -> FloatArray:
    """NaN where nothing was observed."""
    import pandas as pd  # most of a second that the server does not need

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    unread = np.flatnonzero(np.isnan(numbers))
    for row in unread:
        text = column.iloc[row]
        if not pd.isna(text) and str(text).strip().lower() not in _NOT_OBSERVED:
            raise InputError(
                f"{path}, {_line(path, column.to_frame(), int(row))}: {text!r} in column {column.name} is not a "
                "number; leave it empty when nothing was observed"
            )
    return numbers


def _timestamps(path: Path, column: pd.Series) -> tuple[IntArray, tuple[str, ...]]:
    """Unix seconds, and what had to be assumed."""
    import pandas as pd  # most of a second that the server does not need

    def refuse(rows: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str) -> None:
        if rows.any():
            row = int(np.argmax(rows))
            raise InputError(f"{path}, {_line(path, column.to_frame(), row)}: timestamp {column.iloc[row]!r} {what}")

    refuse((column.isna() | (column.astype(str).str.strip() == "")).to_numpy(), "is empty")
    notes: tuple[str, ...] = ()
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = pd.to_datetime(column, utc=True)
        is_naive = getattr(column.dtype, "tz", None) is None
    else:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isnan(numbers[0]):
            refuse(np.isnan(numbers), "cannot be read, the first one is in unix seconds; write them all alike")
            refuse(np.abs(numbers) >= _FIRST_MILLISECONDS, "is not in unix seconds (milliseconds?); divide it")
            refuse(numbers != np.floor(numbers), "is not a whole second; round the timestamps to the step")
            return numbers.astype(np.int64), notes
        texts = column.astype(str).str.strip()
        parsed = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
        refuse(parsed.isna().to_numpy(), "cannot be read; use ISO 8601 or unix seconds")
        is_naive = not texts.str.contains(_HAS_ZONE).all()
    refuse((parsed != parsed.dt.floor("s")).to_numpy(), "is not a whole second; round the timestamps to the step")
    if is_naive:
        notes = ("timestamps without a time zone are taken as UTC",)
    seconds = (parsed - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    return np.asarray(seconds, dtype=np.int64), notes
