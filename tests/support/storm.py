"""A group that never comes to rest: members join and leave, while messages come at a steady pace and somebody watches what is
committed."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable, Dict, Iterator, List, Sequence, Set

from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.messages import Sent, between, messages
from tests.support.oracle import Oracle

EVERY_SECONDS = 3.0  # one member joins, and one leaves
MEMBERS = 3
SECONDS = 60.0  # to come to rest afterwards
BATCH, BATCH_SECONDS = 15, 0.1  # messages, and how often so many are sent


class Watcher:
    """Compares what is committed with what is done, again and again."""

    def __init__(self, admin: Admin, group: str, topic: str, ledger: Ledger) -> None:
        """The ledger is for this watcher alone. The topic must be new: its offsets begin at 0, without holes."""
        self._admin, self._group, self._topic, self._ledger = admin, group, topic, ledger
        self._seen = 0  # entries of the ledger
        self._done: Dict[int, Set[int]] = {}
        self._low: Dict[int, int] = {}  # everything below is done
        self._committed: Dict[int, int] = {}
        self.samples = self.moves = 0
        self.wrong: List[str] = []

    def look(self) -> bool:
        """Once, and true. What is committed is asked first: what is done by then may only have become more since."""
        # First a question that waits for the coordinator: the other one ends the process by SIGSEGV when a new broker's first
        # coordinator does not know yet that it is one (librdkafka 2.16, rd_kafka_cgrp_op without a group).
        self._admin.group_state(self._group)
        committed = self._admin.committed(self._group, self._topic)
        self._read_ledger()
        self.samples += 1
        for partition, offset in committed.items():
            before = self._committed.get(partition, -1)
            now = -1 if offset is None else offset
            self._committed[partition] = now
            self.moves += now > before
            if now < before:
                self.wrong.append(f"partition {partition}: the commit went back from {before} to {now}")
            if now > self._low.get(partition, 0):
                self.wrong.append(f"partition {partition}: {now} is committed, but {self._low.get(partition, 0)} is not done")
        return True

    def _read_ledger(self) -> None:
        entries = self._ledger.entries()
        for entry in entries[self._seen :]:
            if entry.event == "end":
                self._done.setdefault(entry.partition, set()).add(entry.offset)
        self._seen = len(entries)
        for partition, done in self._done.items():
            low = self._low.get(partition, 0)
            while low in done:
                done.remove(low)
                low += 1
            self._low[partition] = low


def storm(seconds: float, start: Callable[[str], Engine]) -> int:
    """Members of new names join, `start(name)`, and the oldest ones leave; how many have joined."""
    members = [start(f"member-{number}") for number in range(MEMBERS)]
    joined, begin, clock = MEMBERS, time.monotonic(), threading.Event()
    while time.monotonic() < begin + seconds:
        clock.wait(max(0.0, begin + (joined - MEMBERS + 1) * EVERY_SECONDS - time.monotonic()))
        members.append(start(f"member-{joined}"))
        joined += 1
        members.pop(0).stop()
    return joined


def weather(seconds: float, admin: Admin, topic: str, group: str, engine: Callable[..., Engine]) -> str:
    """A storm of so many seconds, and what must be true in it and after it; the numbers of it. `engine` is the fixture."""
    sent = messages(int(seconds / BATCH_SECONDS * BATCH), keys=60, sleep_ms=between(0, 60))
    ledger = engine(topic, group).ledger
    watcher = Watcher(Admin(admin.bootstrap), group, topic, Ledger(ledger.path))
    oracle = Oracle(ledger, sent)
    with meanwhile(watcher.look, feeder(admin, topic, sent)):
        joined = storm(seconds, lambda member: engine(topic, group, name=member).start())
        oracle.wait_done(SECONDS, f"all {len(sent)} messages are done")
        eventually(lambda: admin.lag(group, topic) == 0, SECONDS, "and committed")
    twice = len(oracle.run_twice())
    assert watcher.wrong == []
    assert watcher.moves > joined, "too few commits were seen to prove anything"
    assert oracle.order_violations_per_key() == []
    return f"{joined} members, {len(sent)} messages, {watcher.samples} looks at {watcher.moves} commits, {twice} ran twice"


@contextlib.contextmanager
def meanwhile(*deeds: Callable[[], bool], pause: float = BATCH_SECONDS) -> Iterator[None]:
    """Each of these again and again, in a thread of its own, until it returns False or the block ends. What one raises is
    raised at the end."""
    over = threading.Event()
    problems: List[BaseException] = []

    def repeat(deed: Callable[[], bool]) -> None:
        try:
            while deed() and not over.wait(pause):
                pass
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=repeat, args=(deed,), name="meanwhile") for deed in deeds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
        if problems:  # also where the block has failed: it may have waited for what one of them was to do
            raise problems[0]


def feeder(admin: Admin, topic: str, rows: Sequence[Sent]) -> Callable[[], bool]:
    """Sends the next few with each call; False when all are sent."""
    waiting = list(rows)

    def send() -> bool:
        batch = waiting[:BATCH]
        del waiting[:BATCH]
        if batch:
            admin.produce(topic, [each.row for each in batch])
        return bool(waiting)

    return send
