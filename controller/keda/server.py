"""The scaler's server: an event loop in a thread of its own, with TLS where a certificate is given."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from controller.keda.board import OpinionBoard
from controller.keda.scaler import Scaler
from predictor.errors import InputError

log = logging.getLogger("forescale.keda")

_GRACE_SECONDS = 1.0
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ScalerSettings:
    """Where KEDA finds the scaler.

    certificate, key: both or none.  client_ca: only clients with a certificate of it are answered.  repeat_seconds:
    between pushes to KEDA that a target is still to be awake.
    """

    host: str = "0.0.0.0"  # noqa: S104 - KEDA comes from outside the pod
    port: int = 6000  # 0: any that is free
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    repeat_seconds: float = 30.0

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InputError("KEDA's scaler: give certificate and key, or neither")
        if self.client_ca is not None and self.certificate is None:
            raise InputError("KEDA's scaler: a CA for clients needs a certificate and a key of the server")


class ScalerServer:
    """Runs until `close`."""

    def __init__(
        self, settings: ScalerSettings, board: OpinionBoard, registry: CollectorRegistry | None = None
    ) -> None:
        """Raises InputError when a file cannot be read or the port is taken."""
        credentials = None if settings.certificate is None else _credentials(settings)
        self._settings, self._board, self._registry = settings, board, registry
        self._loop = asyncio.new_event_loop()
        self._begun, self._stopping = threading.Event(), asyncio.Event()
        self._error: InputError | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, args=(credentials,), name="keda", daemon=True)
        self._thread.start()
        self._begun.wait(_START_SECONDS)
        if self._error is not None:
            self._thread.join()
            raise self._error
        board.changed = self._tell

    def close(self) -> None:
        """Streams are ended, so that KEDA goes elsewhere."""
        self._board.changed = lambda: None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._scaler.tell)

    def _run(self, credentials: grpc.ServerCredentials | None) -> None:
        try:
            self._loop.run_until_complete(self._serve(credentials))
        except Exception as error:
            log.exception("KEDA's scaler failed")
            self._error = InputError(f"KEDA's scaler failed: {error}")
        finally:
            self._begun.set()
            self._loop.close()

    async def _serve(self, credentials: grpc.ServerCredentials | None) -> None:
        self._scaler = Scaler(self._board, self._registry, repeat_seconds=self._settings.repeat_seconds)
        # Without this option a second server on the port would take half of the questions.
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self._scaler.handler(),))
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            if credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            self._error = InputError(f"KEDA's scaler cannot listen on {address}, choose another --keda-port: {error}")
            return
        await server.start()
        watching = asyncio.create_task(self._scaler.watch())
        self._begun.set()
        await self._stopping.wait()
        watching.cancel()
        await server.stop(_GRACE_SECONDS)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:  # streams end where they wait, before the loop does
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _credentials(settings: ScalerSettings) -> grpc.ServerCredentials:
    """Read again when the files have changed: certificates are renewed while we run."""
    assert settings.certificate is not None and settings.key is not None  # noqa: S101, PT018
    files = [settings.certificate, settings.key, *([] if settings.client_ca is None else [settings.client_ca])]
    seen, current = _changed_at(files), _configuration(settings)

    def fetch() -> grpc.ServerCertificateConfiguration:
        nonlocal seen, current
        try:
            now = _changed_at(files)
            if now != seen:
                seen, current = now, _configuration(settings)
        except InputError as error:
            log.warning("the old certificate stays: %s", error)
        return current

    return grpc.dynamic_ssl_server_credentials(
        current, fetch, require_client_authentication=settings.client_ca is not None
    )


def _configuration(settings: ScalerSettings) -> grpc.ServerCertificateConfiguration:
    assert settings.certificate is not None and settings.key is not None  # noqa: S101, PT018
    pair = (_read(settings.key), _read(settings.certificate))
    return grpc.ssl_server_certificate_configuration(
        [pair], None if settings.client_ca is None else _read(settings.client_ca)
    )


def _changed_at(files: list[Path]) -> list[float]:
    try:
        return [file.stat().st_mtime for file in files]
    except OSError as error:
        raise InputError(f"KEDA's scaler: {error.filename} cannot be read: {error.strerror}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"KEDA's scaler: {file} cannot be read: {error.strerror}") from error
