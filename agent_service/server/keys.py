"""API keys: who asks.  A key has a name, and what it makes belongs to that name."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Mapping
from pathlib import Path

from agent_service.errors import SettingsError

log = logging.getLogger("forescale.agent")

KEYS_VARIABLE = "AGENT_API_KEYS"
_SHORTEST = 16  # characters; less can be guessed

Known = tuple[tuple[str, bytes], ...]


class Keys:
    """Name and digest of every key."""

    def __init__(self, given: str = "", file: Path | None = None) -> None:
        """given: name:key, separated by commas.  file: one a line, read again when it changes; raises SettingsError."""
        self._given = _parsed(given.split(","), KEYS_VARIABLE)
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._of_file: Known = ()
        if file is not None:
            self._stamp, self._of_file = _read(file)
            twice = {name for name, _ in self._given} & {name for name, _ in self._of_file}
            if twice:
                raise SettingsError(f"{file} and {KEYS_VARIABLE} both name {min(twice)}; give that key in one of them")

    @classmethod
    def load(cls, file: Path | None, environment: Mapping[str, str]) -> Keys:
        """From a file and from AGENT_API_KEYS."""
        return cls(environment.get(KEYS_VARIABLE, ""), file)

    @property
    def are_asked_for(self) -> bool:
        """Whether anybody has to show one."""
        return bool(self._given or self._of_file or self._file is not None)

    def owner_of(self, key: str) -> str | None:
        """The name of the key.  Compares with every one, so that the time taken tells nothing."""
        self._refresh()
        asked, owner = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), None
        for name, known in (*self._given, *self._of_file):
            if hmac.compare_digest(known, asked):
                owner = name
        return owner

    def check_exposure(self, host: str, *, allow_anonymous: bool) -> None:
        """Refuse to serve others than this machine without knowing who they are; raises SettingsError."""
        if self.are_asked_for or allow_anonymous or _is_loopback(host):
            return
        raise SettingsError(
            f"{host} can be reached from elsewhere, and there are no API keys: give --keys-file or {KEYS_VARIABLE}, "
            "listen on 127.0.0.1, or say --allow-anonymous where something else guards the way"
        )

    def _refresh(self) -> None:
        if self._file is None or _stamp(self._file) == self._stamp:
            return
        try:
            self._stamp, self._of_file = _read(self._file)
        except SettingsError:
            self._stamp = _stamp(self._file)  # said once, not at every request
            log.exception("API keys could not be read again; the old ones stay good")


def _read(file: Path) -> tuple[tuple[int, int, int] | None, Known]:
    stamp = _stamp(file)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{file}: cannot be read ({reason}); give a file with one name:key a line") from error
    known = _parsed([line.partition("#")[0] for line in lines], str(file))
    if not known:
        raise SettingsError(f"{file}: holds no key; write one a line, as name:key")
    return stamp, known


def _parsed(texts: list[str], where: str) -> Known:
    known: dict[str, bytes] = {}
    for number, text in enumerate(filter(None, (text.strip() for text in texts)), start=1):
        name, colon, key = text.partition(":")
        name, key = name.strip(), key.strip()
        if not colon or not name or len(key) < _SHORTEST or not key.isascii() or " " in key:
            # The key itself is not repeated.
            raise SettingsError(
                f"{where}: entry {number} is not name:key with a key of {_SHORTEST} ASCII characters or more; make one "
                "with: openssl rand -hex 32"
            )
        if name in known:
            raise SettingsError(f"{where}: two keys are named {name}; what they make could not be told apart")
        known[name] = hashlib.sha256(key.encode()).digest()
    return tuple(known.items())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
