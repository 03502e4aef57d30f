"""A proxy that cuts connections: passes bytes both ways, and breaks off after so many of an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Cuts:
    """What is still to be cut, and what was."""

    after_bytes: list[int]
    done: int = 0
    requests: list[bytes] = field(default_factory=list)  # the first line and headers of each


@asynccontextmanager
async def cutting(url: str, after_bytes: Sequence[int], only: bytes = b"/stream") -> AsyncIterator[tuple[str, Cuts]]:
    """Its URL.  after_bytes: of the first answer to a request whose first line has `only`, of the second, and so on."""
    target = urlsplit(url)
    cuts = Cuts(list(after_bytes))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead_reader, ahead_writer = await asyncio.open_connection(target.hostname, target.port)
        limit: list[int | None] = [None]
        passed = [0]  # of the present answer

        async def forward() -> None:
            while data := await reader.read(65_536):
                first = data.split(b"\r\n", 1)[0]
                if b" HTTP/1.1" in first:
                    cuts.requests.append(data.split(b"\r\n\r\n", 1)[0])
                    passed[0] = 0
                    limit[0] = cuts.after_bytes.pop(0) if only in first and cuts.after_bytes else None
                ahead_writer.write(data)
                await ahead_writer.drain()

        async def back() -> None:
            while data := await ahead_reader.read(256):
                most = limit[0]
                if most is not None and passed[0] + len(data) > most:
                    writer.write(data[: most - passed[0]])
                    await writer.drain()
                    cuts.done += 1
                    return
                passed[0] += len(data)
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(forward()), asyncio.create_task(back())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (writer, ahead_writer):
                each.close()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    serving: set[asyncio.Task[None]] = set()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", cuts
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
