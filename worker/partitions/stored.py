"""What the broker holds of one assignment of a partition, what is on its way there, and what was done before it. Pure;
consumer thread only."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import List, NamedTuple

from kafka_worker.partitions.tracker import Range, merged

ID_LENGTH = 16


class Home(NamedTuple):
    """Which topic of which cluster messages are from: short forms of ids, empty where they are not known."""

    cluster: str
    topic: str

    def differs(self, other: Home) -> bool:
        """Whether these are surely two topics."""
        return any(one and another and one != another for one, another in zip(self, other))

    def elsewhere(self, other: Home) -> bool:
        """Whether the other is surely in another cluster."""
        return Home(self.cluster, "").differs(other)

    def completed(self, other: Home) -> Home:
        """This, with what is not known here taken from the other."""
        return Home(self.cluster or other.cluster, self.topic or other.topic)


UNKNOWN = Home("", "")


class Names(NamedTuple):
    """The two commits under which what an assignment noted in the journal is true."""

    found: str  # that the broker held when the partition was assigned; if that was none of ours, `own`
    own: str  # that this assignment makes


def new_name() -> str:
    """A name for one assignment of one partition: its commits carry it, and nothing else ever does. Eight characters."""
    return urlsafe_b64encode(os.urandom(6)).decode()


class JournalRecord(NamedTuple):
    """A record that an earlier assignment left in the journal, and that still counts."""

    number: int
    done: List[Range]


class Stored:
    """What is stored of one assignment, here and at the broker. Others read its fields, and change them by its methods."""

    __slots__ = (
        "_sent", "committed", "done_before", "home", "inherited", "map_refused", "metadata", "named", "names", "unrecorded",
    )  # fmt: skip

    def __init__(self) -> None:
        """Nothing is known yet."""
        # What the broker holds: first what it told, then what it acknowledged; -1: nothing, as far as is known.
        self.committed = -1
        self.metadata = ""  # that goes with it
        self._sent = (-1, "")  # offset and metadata of the last commit on its way
        self.map_refused = False  # the broker takes no metadata as long as ours
        own = new_name()
        self.names = Names(own, own)
        self.named = False  # the broker holds a commit of this assignment, so that it is found after a death
        self.home = UNKNOWN  # which topic of which cluster its messages are from
        self.done_before: List[Range] = []  # not delivered yet, but done before
        self.inherited: List[JournalRecord] = []  # what earlier assignments noted, and this one relies on
        self.unrecorded = False  # the journal had no room for some of it

    # ---- commits --------------------------------------------------------------------------------------------------

    def found(self, offset: int, metadata: str, home: Home) -> None:
        """The broker holds this offset (-1001: none) and metadata, of that topic."""
        self.committed = max(-1, offset)
        self.metadata = metadata
        self.home = home

    def found_ours(self, name: str) -> None:
        """What the broker holds is a commit of ours, which carries this name."""
        self.names = Names(name, self.names.own)

    def told_home(self, home: Home) -> None:
        """This is its topic, as far as is known now."""
        self.home = home.completed(self.home)

    def holds(self, offset: int, metadata: str) -> bool:
        """Whether committing this would add nothing."""
        return offset <= self.committed and metadata == self.metadata

    def sent(self, offset: int, metadata: str) -> None:
        """A commit is on its way."""
        self._sent = (offset, metadata)

    def acknowledged(self, offset: int) -> bool:
        """The broker has stored a commit of this offset; whether that is the last one sent."""
        if offset != self._sent[0]:
            return False
        self.committed, self.metadata = self._sent
        self.named = True
        return True

    def refuse_map(self) -> None:
        """The broker takes no metadata as long as ours."""
        self.map_refused = True

    # ---- what was done before -------------------------------------------------------------------------------------

    def leave_unrecorded(self) -> None:
        """The journal has no room for some of what is done from now on."""
        self.unrecorded = True

    def recall(self, mapped: List[Range], noted: List[JournalRecord], offset: int) -> List[JournalRecord]:
        """Take in what was done beyond `offset`, by the map in the commit and by the journal. Returns the records that add
        nothing to the map."""
        known = merged(mapped, beyond=offset)
        adding = [record for record in noted if merged([*mapped, *record.done], beyond=offset) != known]
        self.inherited = adding
        self.done_before = merged([*mapped, *(done for record in adding for done in record.done)], beyond=offset)
        return [record for record in noted if record not in adding]

    def is_done(self, offset: int) -> bool:
        """Whether it was done before this assignment."""
        return offset < self.committed or any(first <= offset < behind for first, behind in self.done_before)

    def undone(self, first: int, behind: int) -> int:
        """How many of these offsets, none of which was delivered to this assignment, were not done before."""
        done = [(max(first, start), min(behind, end)) for start, end in self.done_before]
        return max(0, behind - first) - sum([end - start for start, end in done if end > start])

    def skips(self, offset: int) -> bool:
        """Whether the message there was done before. It is delivered now, so nobody asks again, and what lies below can be
        dropped."""
        while self.done_before and self.done_before[0][1] <= offset:
            self.done_before.pop(0)
        return bool(self.done_before) and self.done_before[0][0] <= offset

    def release(self, behind: int) -> List[JournalRecord]:
        """Give up the records of earlier assignments that nobody needs once all below `behind` is noted elsewhere."""
        released = [record for record in self.inherited if record.done[-1][1] <= behind]
        self.inherited = [record for record in self.inherited if record.done[-1][1] > behind]
        return released
