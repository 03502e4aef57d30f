"""How often one client may ask.  Counted in memory that does not grow with the number of strangers."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from functools import lru_cache

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

_MOST_COUNTERS = 20_000  # beyond, strangers share one; a client has at most two
_LONGEST_ADDRESS = 45


class Rates:
    """A window of a minute that slides, for each client."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._rate = RateLimitItemPerMinute(per_minute)
        self._storage = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    def wait_seconds(self, scope: Scope, token: str | None) -> int | None:
        """Count a request; None when it may pass, else when to come back.

        token: one that is known here.  Any other says nothing about who asks: it may be new in every request.
        """
        who = self._stranger(scope) if token is None else hashlib.sha256(token.encode()).hexdigest()
        if self._limiter.hit(self._rate, who):
            return None
        return max(1, round(self._limiter.get_window_stats(self._rate, who).reset_time - time.time()))

    def _stranger(self, scope: Scope) -> str:
        client = scope.get("client")
        is_full = len(self._storage.storage) >= _MOST_COUNTERS
        return "others" if is_full or client is None or len(client[0]) > _LONGEST_ADDRESS else _network(client[0])


@lru_cache(maxsize=1024)
def _network(host: str) -> str:
    """The address; of version 6 its /64, since whoever has one address there has them all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "others"
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else address.packed[:8].hex()
    return host
