"""Whether more of a partition should come, and what of it is in hand (fetched, and waiting until there is room for it). Pure;
consumer thread only."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Deque, Dict, Iterator, List

OPERATOR = "operator"  # a cause for being held that is nobody's fault


class Attention:
    """Which partitions a turn of the loop has to look at: its cost follows from what goes on, not from how many partitions
    there are. Dictionaries, because these keep an order."""

    __slots__ = ("busy", "held", "paused")

    def __init__(self) -> None:
        """Nothing goes on."""
        self.busy: Dict[Any, None] = {}  # something is in hand, or was in flight when last counted
        self.paused: Dict[Any, None] = {}  # fetched no more
        self.held: Dict[Any, None] = {}  # for some cause

    def forget(self, partition: Any) -> None:
        """It is no longer ours."""
        for kind in (self.busy, self.paused, self.held):
            kind.pop(partition, None)


class Flow:
    """What comes of one assignment, and what keeps it from coming."""

    __slots__ = (
        "_attention", "_causes", "_no_room", "_ran_out", "_runs", "_taken", "_unstored", "_whose", "comes_below", "held",
        "in_transit", "not_begun", "pace", "paused", "try_at", "unread", "unread_at", "waiting", "weight",
    )  # fmt: skip

    def __init__(self) -> None:
        """All may come."""
        self._attention, self._whose = Attention(), None  # nobody's before the partition is assigned
        self.paused = False  # fetching is stopped, for back-pressure or because it is held
        self.held = ""  # why no more of it should be fetched, whatever room there is; empty: it should
        self.in_transit = 0  # records of its tasks that were sent and not answered
        self.unread = ""  # why it can't be read any further; stays while it is tried again, when nothing holds it
        self.unread_at = -1  # from this offset on; negative: not known
        self.try_at = math.inf  # when it is tried again, in monotonic seconds
        self._causes: Dict[str, str] = {}  # of being held
        self._unstored = 0  # records of its tasks that were refused (see `outbox`)
        self.not_begun = False  # nothing of it may start yet, because it is not known where it begins
        self.waiting = 0  # messages in hand
        self.weight = 0  # bytes of their values
        self._no_room = False  # for some of what is in hand, in this turn
        self._taken = 0  # of what is in hand, since the last look
        self._ran_out = True  # at some time since then nothing was in hand
        self.pace: float = math.inf  # messages a second taken until that look; inf: all there were
        self.comes_below = math.inf  # given back to the broker: of no use while so many are in flight or in hand
        self._runs: Deque[List[Any]] = deque()  # what is in hand, in runs whose offsets ascend

    def call(self, attention: Attention, whose: Any) -> None:
        """From now on this attention hears of whatever goes on with the partition."""
        self._attention, self._whose = attention, whose

    def _hold(self, cause: str, why: str) -> None:
        self._causes[cause] = why
        self.held = next(filter(None, self._causes.values()), "")
        if self.held:
            self._attention.held[self._whose] = None
        else:
            self._attention.held.pop(self._whose, None)

    @property
    def wrong(self) -> str:
        """Why no more of it should be fetched, other than by an operator's will."""
        return next((why for cause, why in self._causes.items() if why and cause != OPERATOR), "")

    # ---- fetching -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The client does not fetch it any more."""
        self.paused = True
        self._attention.paused[self._whose] = None

    def resume(self) -> None:
        """The client fetches it again."""
        self.paused, self.comes_below = False, math.inf
        self._attention.paused.pop(self._whose, None)

    def measure(self, seconds: float) -> None:
        """Measure the pace, so long after the last time; something was taken of somebody's hand meanwhile."""
        unbounded = self._ran_out and (self._taken > 0 or not self.waiting)
        self.pace = math.inf if unbounded else self._taken / seconds
        self._taken, self._ran_out = 0, not self.waiting

    @property
    def moving(self) -> bool:
        """Whether anything of it was taken, if there was any."""
        return self.pace > 0

    def was_served(self) -> None:
        """In this turn, as much of it was taken as there is room for."""
        self._no_room = self.waiting > 0

    def rest(self) -> None:
        """Nothing of it is in hand or in flight: nobody needs to look at it before something comes."""
        self._no_room, self._taken, self._ran_out, self.pace = False, 0, True, math.inf
        self._attention.busy.pop(self._whose, None)

    @property
    def crowded(self) -> bool:
        """Whether there is more of it than room."""
        return self.paused or self._no_room

    # ---- what is in hand --------------------------------------------------------------------------------------------

    def keep(self, run: List[Any]) -> None:
        """These were fetched; their offsets ascend, and are above all before."""
        self._attention.busy[self._whose] = None
        self._runs.append(run)
        self.waiting += len(run)
        self.weight += sum(map(len, run))

    def taken(self, most: int) -> Iterator[List[Any]]:
        """Take the next of them, at most so many."""
        while most > 0 and self._runs:
            run = self._runs.popleft()
            if len(run) > most:
                self._runs.appendleft(run)
                run = run[:most]
                del self._runs[0][:most]  # moves the rest, where another slice would copy it
            most -= len(run)
            self.waiting -= len(run)
            self._taken += len(run)
            self._ran_out = self._ran_out or not self.waiting
            self.weight -= sum(map(len, run))
            yield run

    def drop(self, kept: int = 0) -> None:
        """Drop what is in hand, but for the first `kept` messages: it comes again."""
        runs, self._runs, self.waiting, self.weight = self._runs, deque(), 0, 0
        while runs and self.waiting < kept:
            self.keep(runs.popleft()[: kept - self.waiting])

    @property
    def first(self) -> Any:
        """The first message in hand, or None."""
        return self._runs[0][0] if self._runs else None

    def offset_of(self, place: int) -> int:
        """The offset of the message at this place in hand. Raises IndexError where there is none."""
        for run in self._runs:
            if place < len(run):
                return int(run[place].offset())
            place -= len(run)
        raise IndexError(place)

    @property
    def end(self) -> int:
        """Behind the last offset in hand; -1: there is none."""
        return int(self._runs[-1][-1].offset()) + 1 if self._runs else -1

    @property
    def may_start(self) -> bool:
        """Whether something is in hand, and waits for nothing but room."""
        return self.waiting > 0 and not (self.not_begun or self._unstored or self.suspended)

    def wait_for_others(self, why: str) -> None:
        """Why it is not its turn; empty: it is."""
        self._hold("others", why)

    # ---- as long as an operator has paused it -----------------------------------------------------------------------

    def suspend(self, why: str) -> None:
        """Pause it: by whom and for what; empty: it goes on."""
        self._hold(OPERATOR, why)

    @property
    def suspended(self) -> str:
        """Why an operator has paused it, so that nothing of it is started either; empty: none has."""
        return self._causes.get(OPERATOR, "")

    # ---- as long as it can't be read --------------------------------------------------------------------------------

    def unreadable(self, why: str, offset: int, try_at: float) -> bool:
        """From this offset on it can't be read, and is tried again at `try_at`; whether that is new. What lies behind may be
        delivered all the same: the client steps over some faults by itself, and what it steps over would be lost."""
        new = not self.unread
        if new:
            self.unread, self.unread_at = why, offset
        if new or not self._causes["unread"]:  # one fault may be told by several errors
            self.try_at = try_at
            self._hold("unread", self.unread)
        return new

    def try_again(self) -> None:
        """Fetch it once more from where it could not be read."""
        self.try_at = math.inf
        self.paused = False
        self._attention.paused.pop(self._whose, None)
        self._hold("unread", "")

    def readable(self, batch: List[Any], expected: int) -> List[Any]:
        """Which of these may be taken: those before that place, from the next expected offset on; all, once it can be read
        again."""
        if not self._causes["unread"] and batch[-1].offset() >= self.unread_at:
            self.unread = ""
            return batch
        return [message for message in batch if expected <= message.offset() < self.unread_at]

    def read_to_the_end(self) -> bool:
        """The client says that there is no more; whether that is true."""
        if self.unread and not self._causes["unread"]:
            self.unread = ""
        return not self.unread

    # ---- as long as it is not known what the broker holds ------------------------------------------------------------

    @property
    def untold(self) -> bool:
        """Whether the broker has still not told what it holds."""
        return bool(self._causes.get("untold"))

    def put_off(self, why: str) -> None:
        """The broker has not told what it holds: nothing of it starts before `begin`."""
        self.not_begun = True
        self._hold("untold", why)

    def told(self) -> None:
        """The broker has told now."""
        self._hold("untold", "")

    def begin(self) -> List[Any]:
        """It may start. Returns what came early, to be delivered now that it is known what to expect."""
        early = [message for run in self._runs for message in run]
        self.drop()
        self.not_begun = False
        return early

    # ---- records that its tasks depend on ----------------------------------------------------------------------------

    def sent(self) -> None:
        """A record is on its way."""
        self.in_transit += 1

    def answered(self) -> None:
        """It was stored, or refused."""
        self.in_transit -= 1

    def refused(self, why: str, *, again: bool) -> None:
        """A record can't be stored (`again`: that is known already). No more should be fetched until all are."""
        self._unstored += not again
        self._hold("unstored", why)

    def refused_no_more(self) -> None:
        """A record that was refused is stored, or nobody waits for it any more."""
        self._unstored -= 1
        if not self._unstored:
            self._hold("unstored", "")
