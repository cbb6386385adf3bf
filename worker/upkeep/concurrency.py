"""How many threads are worth having (THREADS=auto): TCP Vegas, as Netflix's concurrency-limits applies it to calls. Pure.

The idea (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet", 1995; `VegasLimit` in
https://github.com/Netflix/concurrency-limits): a call takes `quiet` seconds as long as nobody waits for anybody. If N calls at
once take `call` seconds each, `N * (1 - quiet / call)` of them stand in some queue: behind the interpreter's lock, or at what
the handler calls. While hardly any do, more threads bring more throughput; beyond that they only wait.

What differs, and why. A service with a backlog is saturated all the time, so the quiet time can't be learnt from idle moments,
and a moving average for it (Netflix's Gradient2) follows the overload, and lets the limit drift to its maximum. Here the limit
backs off until half of the threads rest: if calls are no quicker then, the queue is not ours, and that is the quiet time from
now on. A handler whose calls last longer than a window says nothing by ending; then the ages of what runs are looked at.
"""

from __future__ import annotations

import math
from typing import NamedTuple

WINDOW_SECONDS = 2.0  # of a decision, at least: with calls of 5 ms there are hundreds in it
LONGEST_WINDOW_SECONDS = 10.0  # after which a decision is made with what is known
ENOUGH_CALLS = 10  # to end a window early; with more threads, two of each
BUSY_SHARE = 0.8  # of the threads' time: more of them are no use to whoever leaves those idle that are there
BUSY_CORE = 0.85  # of a core: then it is the interpreter that calls wait for
FEW, MANY = 0.1, 0.2  # shares of the threads that may stand in a queue: alpha and beta of VegasLimit,
LEAST_FEW, LEAST_MANY = 1.5, 2.5  # and at least so many threads: one does, three do not (halves, because queues are whole)
LARGEST_CUT = 1 / 3  # of the threads, in one decision: a window may be an outlier
QUICKER = 0.75  # of the time before backing off: what is slower than that with half the threads is no queue of ours
LEARNING = 0.1  # how much one window without a queue counts for the quiet time


class Sample(NamedTuple):
    """Counters of the process at one moment; all but the last two only grow."""

    at: float  # monotonic seconds
    ended: int  # calls, whatever their outcome
    ended_seconds: float  # that those took, together
    cpu_seconds: float  # of the whole process
    ages: float  # seconds for which the calls that run now have been running, together
    running: int  # calls
    waiting: bool  # whether there are tasks that could run if there were threads


class ConcurrencyLimit:
    """The number of threads of one process. Looked after once a second or so."""

    def __init__(self, lowest: int, highest: int, core: float = 1.0) -> None:
        """Begins with `lowest` threads (at least 1). `core`: the part of a core that this process can count on, up to 1."""
        self.threads = max(1, lowest)
        self._lowest = self.threads
        self._highest = max(self.threads, highest)
        self._core = min(1.0, core)
        self._quiet = 0.0  # seconds that a call takes when it waits for nobody; 0: unknown
        self._doubling = True  # the slow start of TCP: until the first queue
        self._crowded = False  # the last window showed a long queue: one may be chance, two are not
        self._before = (0, 0.0)  # threads when backing off began, and the longest call since; 0 threads: we do not
        self._first: Sample = Sample(0.0, 0, 0.0, 0.0, 0.0, 0, waiting=False)  # of the window
        self._samples = 0
        self._waited = 0  # samples with tasks waiting

    def take(self, sample: Sample, *, may_grow: bool = True) -> int:
        """Take a sample; the number of threads from now on. `may_grow`: there is memory for more of them."""
        if not self._samples:
            self._begin(sample)
            return self.threads
        self._samples += 1
        self._waited += sample.waiting
        seconds = sample.at - self._first.at
        enough = sample.ended - self._first.ended >= max(ENOUGH_CALLS, 2 * self.threads)
        if seconds >= LONGEST_WINDOW_SECONDS or (enough and seconds >= WINDOW_SECONDS):
            self._decide(sample, seconds, may_grow=may_grow)
            self._begin(sample)
        return self.threads

    def _begin(self, sample: Sample) -> None:
        self._first, self._samples, self._waited = sample, 1, 0

    def _decide(self, last: Sample, seconds: float, *, may_grow: bool) -> None:
        first = self._first
        busy = last.ended_seconds + last.ages - first.ended_seconds - first.ages
        saturated = busy >= BUSY_SHARE * self.threads * seconds and self._waited > self._samples / 2
        interpreter = last.cpu_seconds - first.cpu_seconds >= BUSY_CORE * self._core * seconds
        if last.ended > first.ended:
            call = (last.ended_seconds - first.ended_seconds) / (last.ended - first.ended)
            self._learn(call, interpreter=interpreter)
            if saturated:
                self._move(call, may_grow=may_grow and not interpreter, few=0.0 if interpreter else FEW)
        elif saturated and may_grow and not interpreter and not self._stuck(last):
            self._grow()

    def _learn(self, call: float, *, interpreter: bool) -> None:
        """What the seconds of a call say about the quiet time, whatever the limit."""
        if not self._quiet or self.threads == self._lowest:
            self._quiet = call  # fewer threads can't be had: this is as quiet as it gets
        elif call < self._quiet:
            self._quiet += LEARNING * (call - self._quiet)
        threads, slowest = self._before
        if threads and self.threads <= max(self._lowest, threads / 2):
            if call > QUICKER * slowest and not interpreter:
                self._quiet, self._doubling = call, True
            self._before = (0, 0.0)

    def _move(self, call: float, *, may_grow: bool, few: float) -> None:
        queue = self.threads * max(0.0, 1 - self._quiet / call)
        crowded = queue > max(LEAST_MANY, MANY * self.threads) or (queue > LEAST_FEW and not few)
        if crowded and self._crowded:
            threads, slowest = self._before
            self._before = (threads or self.threads, max(slowest, call))
            self._doubling = False
            self._set(max(self.threads * (1 - LARGEST_CUT), self.threads - queue + max(LEAST_FEW, few * self.threads)))
        elif may_grow and queue < max(LEAST_FEW, few * self.threads):
            self._grow()
        self._crowded = crowded

    def _grow(self) -> None:
        self._set(2 * self.threads if self._doubling else self.threads + 1)

    def _stuck(self, last: Sample) -> bool:
        """No call has ended in a window, and what runs has been running for longer than calls used to take."""
        return bool(self._quiet) and last.ages > self._quiet * max(1, last.running)

    def _set(self, threads: float) -> None:
        self.threads = max(self._lowest, min(self._highest, math.floor(threads)))
