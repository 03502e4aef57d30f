"""Reads demand from CSV and Parquet files, plain or gzip: columns `timestamp,requests`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from predictor.errors import InputError, SeriesError
from predictor.quality import to_series
from predictor.series import Series

TIMESTAMP, VALUE = "timestamp", "requests"


def read_series_file(path: Path, step_seconds: int) -> Series:
    """Read one series; an empty `requests` field means "not observed".

    Timestamps are ISO 8601 (UTC when no zone is given) or unix seconds.  Raises InputError naming the line.
    """
    table = _read(path)
    missing = [column for column in (TIMESTAMP, VALUE) if column not in table.columns]
    if missing:
        raise InputError(
            f"{path}: no column {' and '.join(missing)} among {', '.join(map(str, table.columns))}; "
            f"the header must be {TIMESTAMP},{VALUE}"
        )
    if table.empty:
        raise SeriesError(f"{path}: no rows below the header")
    stamps = _timestamps(path, table[TIMESTAMP])
    numbers = pd.to_numeric(table[VALUE], errors="coerce")
    written = table[VALUE].notna() & (table[VALUE].astype(str).str.strip() != "")
    bad = np.flatnonzero(numbers.isna() & written & (table[VALUE].astype(str).str.lower() != "nan"))
    if bad.size:
        raise InputError(f"{path}, line {bad[0] + 2}: {table[VALUE].iloc[bad[0]]!r} is not a number")
    name = path.name
    for suffix in (".gz", ".csv", ".parquet"):
        name = name.removesuffix(suffix)
    return to_series(name, stamps, numbers.to_numpy(dtype=np.float64), step_seconds)


def _read(path: Path) -> pd.DataFrame:
    try:
        if ".parquet" in path.suffixes:
            return pd.read_parquet(path)
        return pd.read_csv(path, compression="infer")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        raise InputError(f"{path}: cannot be read ({error}); give CSV or Parquet with {TIMESTAMP},{VALUE}") from error


def _timestamps(path: Path, column: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Unix seconds."""
    if pd.api.types.is_numeric_dtype(column):
        if column.isna().any():
            raise InputError(f"{path}, line {int(np.flatnonzero(column.isna())[0]) + 2}: no timestamp")
        return column.to_numpy(dtype=np.int64)
    parsed = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    bad = np.flatnonzero(parsed.isna())
    if bad.size:
        raise InputError(
            f"{path}, line {bad[0] + 2}: {column.iloc[bad[0]]!r} is not a timestamp; use ISO 8601 or unix seconds"
        )
    seconds: np.ndarray[tuple[int], np.dtype[np.int64]] = (
        (parsed - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    ).to_numpy(dtype=np.int64)
    return seconds
