"""What handlers report of the things they depend on, by `with context.dependency("payments"):`. Handler threads append, the
consumer thread takes: a deque's operations are atomic, so neither waits for the other."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from typing import Callable, Deque, Iterator, NamedTuple, Optional

from kafka_worker.partitions.closing import Closing
from kafka_worker.shared.foreign.exceptions import noted
from kafka_worker.shared.foreign.texts import plain_text

LONGEST_NAME = 100  # characters


class Outcome(NamedTuple):
    """A call of a dependency that has ended."""

    name: str
    topic: str  # of the message whose handler called; `closing`: what becomes of its partition
    closing: Closing
    began: float  # monotonic seconds
    error: Optional[Exception]  # a copy (see `exceptions`); None: it succeeded
    before: float  # monotonic seconds, when the message last failed; infinite: it did not


class Dependencies:
    """The calls of one process that have ended and have not been looked at yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """No call has ended yet."""
        self._clock = clock
        self.ended: Deque[Outcome] = deque()

    @contextlib.contextmanager
    def call(self, name: str, topic: str, closing: Closing, before: float = math.inf) -> Iterator[None]:
        """The block is one call of the dependency `name`. What it raises goes on as usual. Raises ValueError for a name that
        can't be shown."""
        known = plain_text(name) if isinstance(name, str) else ""
        if not known.isprintable() or not 0 < len(known) <= LONGEST_NAME:
            raise ValueError(f"a dependency's name must be 1 to {LONGEST_NAME} printable characters, not {name!r}")
        began = self._clock()
        try:
            yield
        except BaseException as error:  # whatever it is, the call has failed
            self.ended.append(Outcome(known, topic, closing, began, noted(error), before))
            raise
        self.ended.append(Outcome(known, topic, closing, began, None, before))
