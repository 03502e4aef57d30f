"""Gives memory that a cycle needed for a moment back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable


def _trimmer() -> Callable[[], object] | None:
    """glibc's, None elsewhere."""
    if sys.platform != "linux":
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


_trim = _trimmer()


def release_memory() -> None:
    """Of glibc's heaps, one per thread: each would keep what reading a thousand forecasts took, whoever read them."""
    if _trim is not None:
        _trim()
