"""Bearer tokens: who may ask.  Reads one file, again when it changes, since tokens are rotated."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Mapping
from pathlib import Path

from predictor.errors import InputError
from predictor.server.settings import ServerSettings

log = logging.getLogger("forescale.access")

ENVIRONMENT = "FORESCALE_API_TOKENS"
SHORTEST = 16  # characters; less can be guessed


class Tokens:
    """The digests of all tokens that let somebody in."""

    def __init__(self, given: tuple[str, ...] = (), file: Path | None = None) -> None:
        """Raises InputError for a token that is too short and for a file that cannot be read."""
        self._given = tuple(map(_digest, _checked(given, ENVIRONMENT)))
        self._file = file
        self._of_file: tuple[bytes, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        if file is not None:
            self._stamp, self._of_file = self._read(file)

    @classmethod
    def load(cls, settings: ServerSettings, environment: Mapping[str, str]) -> Tokens:
        """From the settings' file and from FORESCALE_API_TOKENS, separated by commas."""
        given = tuple(filter(None, (part.strip() for part in environment.get(ENVIRONMENT, "").split(","))))
        return cls(given, settings.tokens_file)

    def __len__(self) -> int:
        return len(self._given) + len(self._of_file)

    def admits(self, token: str) -> bool:
        """Whether the token is one of ours.  Compares with every one, so that the time taken tells nothing."""
        found, asked = False, _digest(token)
        for known in (*self._given, *self._of_file):
            found |= hmac.compare_digest(known, asked)
        return found

    def refresh(self) -> None:
        """Read the file again when it has changed; one that cannot be read changes nothing."""
        if self._file is None or _stamp(self._file) == self._stamp:
            return
        try:
            self._stamp, self._of_file = self._read(self._file)
        except InputError:
            self._stamp = _stamp(self._file)  # said once, not at every request
            log.exception("tokens could not be read again; the old ones stay good")

    @staticmethod
    def _read(file: Path) -> tuple[tuple[int, int, int] | None, tuple[bytes, ...]]:
        stamp = _stamp(file)
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise InputError(
                f"{file}: cannot be read ({reason}); give a file with one bearer token per line"
            ) from error
        tokens = tuple(filter(None, (line.partition("#")[0].strip() for line in lines)))
        if not tokens:
            raise InputError(f"{file}: holds no token; write one per line")
        return stamp, tuple(map(_digest, _checked(tokens, str(file))))


def check_exposure(settings: ServerSettings, tokens: Tokens) -> None:
    """Refuse to serve others than this machine without knowing who they are; raises InputError."""
    if len(tokens) or settings.allow_anonymous or _is_loopback(settings.host):
        return
    raise InputError(
        f"{settings.host} can be reached from elsewhere, and there are no tokens: give --tokens-file or {ENVIRONMENT}, "
        "listen on 127.0.0.1, or say --allow-anonymous where something else guards the way"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(tokens: tuple[str, ...], where: str) -> tuple[str, ...]:
    for number, token in enumerate(tokens, start=1):
        if len(token) < SHORTEST or not token.isascii() or " " in token:
            # The token itself is not repeated.
            raise InputError(
                f"{where}: token {number} is shorter than {SHORTEST} characters or holds spaces or characters beyond "
                "ASCII; make one with: openssl rand -hex 32"
            )
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
