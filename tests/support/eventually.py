"""The only way tests wait: poll a condition until a deadline. A sleep would be too short on a busy machine
and too long on every other.
"""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")

FIRST_SECONDS = 0.001  # of the waits: what threads do takes no longer
POLL_SECONDS = 0.015  # the longest, so that nobody polls a machine busy


def eventually(condition: Callable[[], T], timeout: float, what: str) -> T:
    """The first truthy value of `condition`. After `timeout` seconds an AssertionError that names `what` and
    the last value. An exception of the condition is the test's failure at once: one that may fail for a while
    says so itself.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {value!r})")
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
