"""Gives freed memory back to the system, where the C library can."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache


def give_memory_back(*, is_after_cycle: bool = False) -> None:
    """To be called when something large has been let go: glibc would keep it for ever.  After a cycle, without gc."""
    if not is_after_cycle:
        gc.collect()
    library = _libc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library
        return None
    return library if hasattr(library, "malloc_trim") else None
