"""How many threads are worth having (THREADS=auto): TCP Vegas, as Netflix's concurrency-limits applies it to calls. Pure.

The idea (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet", 1995; `VegasLimit` in
https://github.com/Netflix/concurrency-limits): a call takes `quiet` seconds as long as nobody waits for anybody. If N calls at
once take `call` seconds each, `N * (1 - quiet / call)` of them stand in some queue: behind the interpreter's lock, or at what
the handler calls. While hardly any do, more threads bring more throughput; beyond that they only wait.

What differs, and why. A service with a backlog is saturated all the time, so the quiet time can't be learnt from idle moments,
and a moving average for it (Netflix's Gradient2) follows the overload, and lets the limit drift to its maximum. Here the limit
backs off until half of the threads rest: if calls are no quicker then, the queue is not ours, and that is the quiet time from
now on.

Calls that last for seconds say nothing by ending until it is late. So while all threads are held by such calls, tasks wait and
hardly any CPU is wanted, the threads are doubled at every look, unjudged. The judgement follows when calls have ended: half of
the threads rest, and again half, until calls are no quicker by it.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from kafka_worker.upkeep.samples import Sample, Stall

WINDOW_SECONDS = 2.0  # of a decision, at least: with calls of 5 ms there are hundreds in it
LONGEST_WINDOW_SECONDS = 10.0  # after which a decision is made with what is known
FLOOD_SECONDS = 5.0  # of nothing but computing: then threads that were given unjudged go as soon as a call has ended
ENOUGH_CALLS = 10  # to end a window early; with more threads, two of each
BUSY_SHARE = 0.8  # of the threads' time: more of them are no use to whoever leaves those idle that are there
BUSY_CORE = 0.85  # of a core: then it is the interpreter that calls wait for
FEW, MANY = 0.1, 0.2  # shares of the threads that may stand in a queue: alpha and beta of VegasLimit,
LEAST_FEW, LEAST_MANY = 1.5, 2.5  # and at least so many threads: one does, three do not (halves, because queues are whole)
LARGEST_CUT = 1 / 3  # of the threads, in one decision: a window may be an outlier
QUICKER = 0.75  # of the time before backing off: what is slower than that with half the threads is no queue of ours
LONGEST_TRY_SECONDS = 60.0  # of a call, while half of the threads rest to see what they are worth: that is a loss
LEARNING = 0.1  # how much one window without a queue counts for the quiet time


def mean_call(first: Sample, last: Sample) -> float:
    """Seconds that a call took which has ended between the two; 0.0: none has."""
    return (last.ended_seconds - first.ended_seconds) / max(1, last.ended - first.ended)


class BackOff(NamedTuple):
    """Threads are being taken away."""

    threads: int  # that there were
    call: float  # seconds of one, in the quickest window since
    at: float  # when it began
    doubling: bool  # what follows, if it proves to be for nothing


class ConcurrencyLimit:
    """The number of threads of one process. Looked after at every heartbeat."""

    def __init__(self, lowest: int, highest: int, core: float = 1.0) -> None:
        """Begins with `lowest` threads (at least 1). `core`: the part of a core that this process can count on, up to 1."""
        self.threads = max(1, lowest)
        self._lowest = self.threads
        self._highest = max(self.threads, highest)
        self._busy_core = BUSY_CORE * min(1.0, core)
        self._quiet = 0.0  # seconds that a call takes when it waits for nobody; 0: unknown
        self._guessed = False  # that was measured with threads that are unjudged
        self._doubling = True  # the slow start of TCP: until the first queue
        self._crowded = False  # the last window showed a long queue: one may be chance, two are not
        self._before: Optional[BackOff] = None
        self._stall = Stall()
        self._first: Optional[Sample] = None  # of the window
        self._samples = 0
        self._waited = 0  # samples with tasks waiting
        self._former = 0  # calls ended, when those have that began with another number of threads

    def take(self, sample: Sample, *, most: float = math.inf) -> int:
        """Take a sample; the number of threads from now on. `most`: so many there is memory for."""
        cores = self._stall.cores(sample, self.threads)
        first = self._first
        if first is None or first.ended < self._former <= sample.ended:
            first = self._begin(sample)
        else:
            self._samples += 1
            self._waited += sample.waiting
        seconds, ended = sample.at - first.at, sample.ended - first.ended
        enough = ended >= max(ENOUGH_CALLS, 2 * self.threads) and seconds >= WINDOW_SECONDS and not self._trying
        flooded = ended and self._unjudged and seconds >= FLOOD_SECONDS and self._computing(first, sample)
        due = enough or flooded or seconds >= LONGEST_WINDOW_SECONDS
        if due and ended:
            if flooded or first.ended >= self._former:
                self._decide(first, sample, most)
        elif cores is not None and 2 * cores <= self._busy_core and (due or self._doubling or self._trying):
            self._try_more(first, sample, most)
        if due:
            self._begin(sample)
        return self.threads

    def _begin(self, sample: Sample) -> Sample:
        self._first, self._samples, self._waited = sample, 1, 0
        return sample

    @property
    def _unjudged(self) -> bool:
        """Whether there are threads that were given before any call had ended."""
        return not self._quiet and self.threads > self._lowest

    @property
    def _trying(self) -> bool:
        """Whether some of those rest, so that one sees what they are worth."""
        return not self._quiet and self._before is not None

    def _computing(self, first: Sample, last: Sample) -> bool:
        """Whether it is the interpreter that calls wait for."""
        return last.cpu_seconds - first.cpu_seconds >= self._busy_core * (last.at - first.at)

    def _decide(self, first: Sample, last: Sample, most: float) -> None:
        """By calls that have ended."""
        seconds = last.at - first.at
        busy = last.ended_seconds + last.ages - first.ended_seconds - first.ages
        saturated = busy >= BUSY_SHARE * self.threads * seconds and self._waited > self._samples / 2
        interpreter = self._computing(first, last)
        call = mean_call(first, last)
        if self._in_vain(call, interpreter=interpreter):
            return
        self._learn(call)
        if saturated and self._quiet:
            self._move(call, last, 0 if interpreter else most, few=0.0 if interpreter else FEW)
        elif saturated and interpreter:
            self._cut(call, last, self._lowest)
            self._before = None
        elif saturated and (call > LONGEST_TRY_SECONDS or (self._doubling and self.threads < self._highest)):
            self._quiet, self._guessed = call, True
            self._grow(most)
        elif saturated:
            self._cut(call, last, self.threads // 2)

    def _in_vain(self, call: float, *, interpreter: bool) -> bool:
        """Whether half of the threads rest and calls are no quicker by it, so that they come back."""
        before = self._before
        if before is None or self.threads > max(self._lowest, before.threads / 2):
            return False
        self._before = None
        if interpreter or call <= QUICKER * before.call:
            return False
        self._quiet, self._doubling = call, before.doubling
        self._set(before.threads)
        return True

    def _learn(self, call: float) -> None:
        """What the seconds of a call say about the quiet time, whatever the limit."""
        if self.threads == self._lowest:
            self._quiet = call  # fewer threads can't be had: this is as quiet as it gets
        elif call < self._quiet:
            self._quiet += LEARNING * (call - self._quiet)

    def _move(self, call: float, last: Sample, most: float, *, few: float) -> None:
        queue = self.threads * max(0.0, 1 - self._quiet / call)
        crowded = queue > max(LEAST_MANY, MANY * self.threads) or (queue > LEAST_FEW and not few)
        if crowded and self._crowded and self._guessed:
            self._quiet = 0.0
            self._cut(call, last, self.threads // 2)
        elif crowded and self._crowded:
            less = max(self.threads * (1 - LARGEST_CUT), self.threads - queue + max(LEAST_FEW, few * self.threads))
            self._cut(call, last, less)
        elif queue < max(LEAST_FEW, few * self.threads):
            self._grow(most)
        self._crowded = crowded
        self._guessed = self._guessed and crowded

    def _cut(self, call: float, last: Sample, threads: float) -> None:
        before = self._before or BackOff(self.threads, call, last.at, self._doubling or bool(self._quiet))
        self._before = before._replace(call=min(before.call, call))
        self._doubling = False
        if not self._quiet:
            self._former = last.ended + last.running
        self._set(threads)

    def _try_more(self, first: Sample, last: Sample, most: float) -> None:
        """More threads, although no call ends that would tell whether they are worth having."""
        threads = self.threads
        if self._nothing_speaks_against(first, last):
            self._grow(most)
        if self.threads > threads:
            self._former = last.ended + self.threads
            self._stall.begin(last)
            self._begin(last)

    def _nothing_speaks_against(self, first: Sample, last: Sample) -> bool:
        before = self._before
        if before is not None and self._trying:  # some rest since then; once these have run for longer than others did:
            longer = last.at - before.at > 2 * before.call and last.ages > before.call * last.running
            return longer and self._in_vain(before.call, interpreter=False)
        if self.threads == self._lowest:  # nobody stands in a queue here
            known = self._quiet or mean_call(first, last)
            longer = last.ages > known * last.running  # by themselves, than those before
            self._quiet = 0.0 if longer else known
        return not self._stuck(last)

    def _stuck(self, last: Sample) -> bool:
        """No call ends, and what runs has been running for longer than calls used to take."""
        return bool(self._quiet) and last.ages > self._quiet * max(1, last.running)

    def _grow(self, most: float) -> None:
        threads = 2 * self.threads if self._doubling else self.threads + 1
        self._set(max(self.threads, min(threads, most)))

    def _set(self, threads: float) -> None:
        self.threads = max(self._lowest, min(self._highest, math.floor(threads)))
