"""Judges a run: what was sent, against what the ledger says was done."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Sequence, Tuple

from tests.support.eventually import eventually

if TYPE_CHECKING:
    from tests.support.ledger import Entry, Ledger
    from tests.support.messages import Sent


class Oracle:
    """Reads the ledger anew at each question."""

    def __init__(self, ledger: Ledger, sent: Sequence[Sent]) -> None:
        """`sent` in the order in which it was produced."""
        self._ledger = ledger
        self._sent = sent

    def missing(self) -> List[str]:
        """Ids that never came to their end. At the end of every test: none."""
        done = set(self._ledger.done())
        return [each.id for each in self._sent if each.id not in done]

    def wait_done(self, seconds: float = 60.0, what: str = "everything is done") -> None:
        """Until everything sent has come to its end: nothing is lost."""
        eventually(lambda: not self.missing(), seconds, what)

    def run_twice(self) -> List[str]:
        """Ids that came to their end more than once."""
        return _more_than_once(self._ledger.of("end"))

    def started_twice(self) -> List[str]:
        """Ids that were started more than once: also those cut off by a crash, and retries."""
        return _more_than_once(self._ledger.of("start"))

    def order_violations_per_key(self) -> List[str]:
        """What contradicts "one key's messages run one after the other, in the order sent"; one line each."""
        return self._wrong_order() + self._overlaps()

    def _wrong_order(self) -> List[str]:
        """By first ends: what is run again after a crash repeats a piece of the order, which is allowed."""
        sent = {each.id: each for each in self._sent}
        latest: Dict[str, Sent] = {}
        wrong = []
        for name in self._ledger.done():
            this = sent.get(name)
            if this is None:  # another test's message on the same topic
                continue
            before = latest.get(this.key)
            if before and before.sequence > this.sequence:
                wrong.append(f"{this.key}: {this.id} ended after {before.id}, which was sent later")
            else:
                latest[this.key] = this
        return wrong

    def _overlaps(self) -> List[str]:
        """Two tasks of one key at once in one process; a process that died leaves a start without an end."""
        running: Dict[Tuple[int, Optional[str]], Entry] = {}
        wrong = []
        for entry in self._ledger.entries():
            lane = (entry.pid, entry.key)
            if entry.event != "start":
                running.pop(lane, None)
            elif lane in running:
                wrong.append(f"{entry.key}: {entry.id} started while {running[lane].id} ran (process {entry.pid})")
            else:
                running[lane] = entry
        return wrong

    def gap(self, partitions: Iterable[int], since: float, until: Optional[float] = None) -> float:
        """Longest time that one of the partitions started nothing, seconds, between `since` and `until` (or
        its last start).
        """
        starts = self._starts(since)
        longest = 0.0
        for partition in partitions:
            times = [since, *starts[partition], *([until] if until is not None else [])]
            longest = max([longest, *(later - earlier for earlier, later in zip(times, times[1:]))])
        return longest

    def first_after(self, partition: int, moment: float) -> Optional[float]:
        """When the partition started its first task after a moment; None when it did not."""
        return next(iter(self._starts(moment)[partition]), None)

    def _starts(self, since: float) -> Dict[int, List[float]]:
        starts: Dict[int, List[float]] = defaultdict(list)
        for entry in self._ledger.of("start"):
            if entry.at > since:
                starts[entry.partition].append(entry.at)
        for times in starts.values():
            times.sort()
        return starts


def _more_than_once(entries: Sequence[Entry]) -> List[str]:
    return [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
