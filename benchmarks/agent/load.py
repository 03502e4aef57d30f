"""Clients that keep so many runs under way: each begins the next one when the last has ended."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field

QUESTION = {"messages": [{"role": "user", "content": "how is it going?"}]}


@dataclass(slots=True)
class Result:
    """What came of a load."""

    seconds: list[float] = field(default_factory=list)  # of each run that succeeded
    first_token_seconds: list[float] = field(default_factory=list)
    failures: int = 0
    took_seconds: float = 0.0

    @property
    def runs_per_second(self) -> float:
        """Of those that succeeded."""
        return len(self.seconds) / self.took_seconds

    def quantile(self, level: float) -> float:
        """Of the seconds of a run."""
        return sorted(self.seconds)[min(int(level * len(self.seconds)), len(self.seconds) - 1)]


def drive(url: str, runs: int, at_once: int, *, is_streamed: bool = False, core: int | None = 1) -> Result:
    """Closed loop, on plain sockets: a client library would use more CPU than the service that is measured."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    return asyncio.run(_drive(url, runs, at_once, is_streamed))


async def _drive(url: str, runs: int, at_once: int, is_streamed: bool) -> Result:
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"assistant_id": "bench", "input": QUESTION, "on_completion": "keep",
                       **({"stream_mode": "messages-tuple"} if is_streamed else {})}).encode()  # fmt: skip
    head = (
        f"POST /runs/{'stream' if is_streamed else 'wait'} HTTP/1.1\r\nhost: {host}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    request, result, left = head.encode() + body, Result(), [runs]

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while left[0] > 0:
            left[0] -= 1
            began = time.perf_counter()
            writer.write(request)
            is_good, first = await _read(reader, is_streamed, began)
            if is_good:
                result.seconds.append(time.perf_counter() - began)
                if first is not None:
                    result.first_token_seconds.append(first)
            else:
                result.failures += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    result.took_seconds = time.perf_counter() - began
    return result


async def _read(reader: asyncio.StreamReader, is_streamed: bool, began: float) -> tuple[bool, float | None]:
    """Whether the run succeeded, and when its first token came."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        await reader.readexactly(length)
        return False, None
    body, first = bytearray(), None
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
        if is_streamed and first is None and b"event: messages" in body:
            first = time.perf_counter() - began
    await reader.readexactly(2)
    if is_streamed:
        return b'"status":"success"' in body and body.count(b"event: messages") >= 24, first
    return b"__error__" not in body and b'"messages"' in body, None
