"""Whose turn it is: the letters of a topic are replayed and dropped by one command at a time, on whatever host.

Two at once would replay each letter twice. What Kafka has for that (a group, a transactional id) wants rights that a service
may not have, so it is said where both look anyway: who begins says so in the first partition of the dead-letter topic, again
and again, and then looks who has said so before him. As any marker in words that `letter` does not know, it resolves nothing.
Who has not said so for `SILENT_SECONDS`, by the times of the records, has been killed.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from typing import Dict, Tuple

from kafka_worker.ops.dead_letters.cluster import Cluster
from kafka_worker.ops.dead_letters.letter import RESOLVED, is_marker, iso, text_of
from kafka_worker.ops.dead_letters.plan import Outgoing

SAY_SECONDS, SILENT_SECONDS = 5.0, 30.0
_AT_WORK, _DONE = "at work", "done"
_WORD = re.compile(rf"({_AT_WORK}|{_DONE}) as ([0-9a-f]{{32}}) since (\S{{1,40}}) by (.{{1,200}})", re.DOTALL | re.ASCII)


class Turn:
    """That of one command in one topic."""

    def __init__(self, cluster: Cluster, topic: str, partition: int, by: str) -> None:
        """Nothing is said yet."""
        self._cluster = cluster
        self._topic, self._partition = topic, partition
        self._run = uuid.uuid4().hex
        self._who = f"{iso(time.time())} by {by}"
        self._said_at = 0.0
        self._held_up = False
        self._thread = threading.Thread(target=self._go_on_saying, name="turn", daemon=True)
        self.over = threading.Event()  # nothing more is said

    def begin(self) -> str:
        """Take it; why we have not got it, or nothing. Who asks has blocked signals, and so has the thread that goes on."""
        self._said_at = time.time()
        (stored,) = self._cluster.store([self._word(_AT_WORK)])
        if stored.problem:
            self.over.set()
            return f"that we are at work could not be said: {stored.problem}"
        ours = list(self._cluster.read(self._topic, {self._partition: (stored.offset, stored.offset + 1)}))
        other = self._other(stored.offset, ours[0].timestamp if ours else int(1000 * self._said_at))
        if other:
            return (
                f"nothing was done, because letters of it are being replayed or dropped since {other}. "
                f"(If that was killed, this can be done after {SILENT_SECONDS:.0f} s)"
            )
        self._thread.start()
        return ""

    def passed(self) -> bool:
        """Whether another may have it by now, because this process, or its machine, has slept."""
        self._held_up = self._held_up or time.time() - self._said_at > SILENT_SECONDS
        return self._held_up

    def end(self) -> None:
        """Give it back, also where it was not to be had: if we have said that we are at work."""
        if not self.over.is_set():
            self.over.set()
            if self._thread.is_alive():  # what it says behind our last word would keep the next one waiting
                self._thread.join()
            self._cluster.store([self._word(_DONE)])

    def taken(self, behind: int) -> str:
        """Who has it, as far as is said below this offset; nothing is said of us."""
        return self._other(behind, int(1000 * time.time()))

    def _other(self, behind: int, now: int) -> str:
        """Who had it at this time of the records (milliseconds since 1970): since when, and his name."""
        recent = self._cluster.recent(self._topic, self._partition, now - int(2000 * SILENT_SECONDS), behind)
        working: Dict[str, Tuple[int, str]] = {}
        for record in self._cluster.read(self._topic, {self._partition: recent}):
            said = _WORD.fullmatch(text_of(dict(record.headers).get(RESOLVED))) if is_marker(record) else None
            if said is not None and said[1] == _AT_WORK:
                working[said[2]] = (record.timestamp, f"{said[3]} by {said[4]}")
            elif said is not None:
                working.pop(said[2], None)
        return next((who for at, who in working.values() if abs(now - at) < 1000 * SILENT_SECONDS), "")

    def _go_on_saying(self) -> None:
        while not self.over.wait(SAY_SECONDS):
            if not self.passed():
                self._said_at = time.time()
                self._cluster.say(self._word(_AT_WORK))

    def _word(self, word: str) -> Outgoing:
        said = f"{word} as {self._run} since {self._who}".encode(errors="replace")
        return Outgoing(self._topic, self._partition, b"", None, [(RESOLVED, said)])
