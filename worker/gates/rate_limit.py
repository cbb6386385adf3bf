"""A token bucket (as in RFC 2697 and many routers): each start of a task costs a token, tokens come at a fixed rate. Pure."""

from __future__ import annotations

BURST_SECONDS = 0.5  # of tokens that may pile up: while the client fetches anew after a pause (0.3 s were measured)


class TokenBucket:
    """Says how many tokens have come."""

    def __init__(self, rate: float, now: float) -> None:
        """Empty at `now` (monotonic seconds). `rate`: tokens a second."""
        self._rate = rate
        self._largest = 1.0 + rate * BURST_SECONDS  # the one: what is to become of a fraction must have room
        self._fraction = 0.0  # of a token that has come already
        self._at = now

    def fill(self, unspent: int, now: float) -> int:
        """How many tokens to add to the `unspent` ones."""
        came = self._fraction + max(0.0, now - self._at) * self._rate
        self._at = max(self._at, now)
        came = min(came, max(0.0, self._largest - unspent))
        whole = int(came)
        self._fraction = came - whole
        return whole
