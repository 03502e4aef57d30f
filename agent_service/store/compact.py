"""Bytes that are kept, in no more memory than they need."""

from __future__ import annotations


def compact(told: bytes) -> bytes:
    """The same.  What orjson returns lies in the buffer that it wrote into: 4 KiB for 20 bytes, 16 for 2,000."""
    return bytes(memoryview(told))
