"""A limit on the requests of each owner."""

import time
from collections.abc import Callable

from recurra.server.refusal import Refusal

__all__ = ["RateLimit"]


class RateLimit:
    """A bucket of a second's requests for each owner, refilled all the time.

    Args:
        rate: requests a second; 0: no limit.
        now: the time in seconds.
    """

    def __init__(self, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = rate, now
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, owner: str) -> None:
        """Count a request.

        Raises:
            Refusal: if the owner sends too many.
        """
        if not self._rate:
            return
        now, most = self._now(), max(1.0, self._rate)
        left, since = self._buckets.get(owner, (most, now))
        left = min(most, left + (now - since) * self._rate)
        if left < 1:
            self._buckets[owner] = (left, now)
            wait = max(1, round((1 - left) / self._rate))
            raise Refusal(429, "too_many_requests", f"more than {self._rate:g} requests a second", wait)
        self._buckets[owner] = (left - 1, now)
