"""Which log, before anything heavy is imported."""

from __future__ import annotations

import importlib
import logging
import os
import socket


def log_for_people() -> None:
    """What matters, on stderr; runs are not listed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn.error", "httpx", "forescale.agent.runs"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def log_for_machines() -> None:
    """One JSON object a line, on stdout."""
    importlib.import_module("agent_service.server.logs").log_json(f"{socket.gethostname()}-{os.getpid()}")
