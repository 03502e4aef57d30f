"""Fills a server by Prometheus remote write 1.0: protobuf by hand, compressed with snappy."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import cramjam
import numpy as np
import requests

from predictor.quality import IntArray
from predictor.series import FloatArray

_BATCH = 20_000
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def push(url: str, labels: Mapping[str, str], timestamps: IntArray, values: FloatArray) -> None:
    """Write one series (unix seconds, value) to `url`; samples that are NaN are left out, as if never scraped.

    labels: with `__name__`.
    """
    seen = np.isfinite(values)
    timestamps, values = timestamps[seen], values[seen]
    for begin in range(0, values.size, _BATCH):
        part = slice(begin, begin + _BATCH)
        body = cramjam.snappy.compress_raw(write_request(labels, timestamps[part], values[part]))
        answer = requests.post(url, data=bytes(body), headers=_HEADERS, timeout=30)
        assert answer.status_code in (200, 204), f"{url}: {answer.status_code} {answer.text}"


def write_request(labels: Mapping[str, str], timestamps: IntArray, values: FloatArray) -> bytes:
    """The WriteRequest message of one series."""
    pairs = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )
    samples = b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(1000 * at))  # 1: double, 2: int64 milliseconds
        for at, value in zip(timestamps.tolist(), values.tolist(), strict=True)
    )
    return _field(1, pairs + samples)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
