"""Work without end: a thread keeps each partition supplied, however fast or slow the machine is, and leaves
little to be finished afterwards.
"""

from __future__ import annotations

import itertools
import random
import threading
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Dict, List, Optional

from tests.support.messages import Sent, message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.ledger import Ledger

LOWEST, HIGHEST = 60, 90  # unfinished messages of each partition; more than a second's work for one thread
KEYS = 8  # of each partition: more than the threads that serve it, so that order leaves none of them idle
LONGEST_MS = 40  # tasks take from 0 to this
LOOK_SECONDS = 0.05


class Load:
    """Use it in a `with`; what it sends it adds to `sent`."""

    def __init__(self, admin: Admin, topic: str, ledger: Ledger, sent: List[Sent], partitions: int) -> None:
        """The ledger is for this load alone: a reader belongs to one thread."""
        self._admin, self._topic, self._ledger, self._sent = admin, topic, ledger, sent
        self._keys = keys_of_partitions(partitions, KEYS)
        self._sequence = Counter(each.key for each in sent)
        self._made = Counter(dict.fromkeys(range(partitions), 0))
        self._chance = random.Random(1)
        self._name = f"load{len(sent)}"  # several loads of one test make different messages
        self._stop = threading.Event()
        self._problem: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._problem:
            raise self._problem

    def _run(self) -> None:
        try:
            while True:
                self._supply()
                if self._stop.wait(LOOK_SECONDS):
                    return
        except BaseException as problem:
            self._problem = problem

    def _supply(self) -> None:
        done = Counter(name.split("/")[1] for name in self._ledger.done() if name.startswith(self._name + "/"))
        left = {number: made - done[str(number)] for number, made in self._made.items()}
        low = [number for number, count in left.items() if count < LOWEST]
        batch = [self._next(number) for number in low for _ in range(HIGHEST - left[number])]
        self._sent += batch  # first, so that a message that was sent is never unknown
        if batch:
            self._admin.produce(self._topic, [each.row for each in batch])

    def _next(self, partition: int) -> Sent:
        number = self._made[partition]
        self._made[partition] += 1
        key = self._keys[partition][number % KEYS]
        sequence = self._sequence[key]
        self._sequence[key] += 1
        milliseconds = self._chance.randint(0, LONGEST_MS)
        return message(f"{self._name}/{partition}/{number}", key, sequence, sleep_ms=milliseconds)


def keys_of_partitions(partitions: int, count: int) -> Dict[int, List[str]]:
    """For each partition so many keys that the client's default partitioner (CRC-32) puts there."""
    found: Dict[int, List[str]] = {number: [] for number in range(partitions)}
    for number in itertools.count():
        key = f"key-{number}"
        keys = found[zlib.crc32(key.encode()) % partitions]
        if len(keys) < count:
            keys.append(key)
        if all(len(keys) == count for keys in found.values()):
            break
    return found
