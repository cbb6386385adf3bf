"""What is sent exactly once: messages whose handler sends each on, and an account of what is seen of them."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING, Dict, List, Set, Tuple

from tests.support.eventually import eventually
from tests.support.messages import SHORT, Duration, Sent, messages
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

HANDLER = "tests.support.handlers:forward"
#: Without the memories of a process: whatever is not committed runs again, and sends again.
EXACTLY = {"DELIVERY": "exactly-once", "JOURNAL": "off", "OFFSET_MAP": "off", "MAX_ATTEMPTS": "1"}


class Forwarding:
    """What a scene's handlers send on, and where."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.results, self.letters = (
            scene.admin.create_topic(scene.topic + suffix, partitions=1) for suffix in (".results", ".dlq")
        )
        self.sent: Dict[str, Sent] = {}

    def some(self, count: int, seed: int = 1, sleep_ms: Duration = SHORT) -> List[Sent]:
        """Messages to be sent on; some are rejected instead."""
        made = []
        for place, each in enumerate(messages(count, keys=40, sleep_ms=sleep_ms, seed=seed)):
            more = {"to": self.results, **({"trouble": "reject"} if place % 25 == 0 else {})}
            made.append(Sent(each.id, f"{seed}-{each.key}", each.sequence, {**each.payload, **more}))
        self.sent.update((each.id, each) for each in made)
        return made

    def send(self, messages: List[Sent], seen: int = 20) -> None:
        """Returns when so many more records are there, or could be: of what is not committed, too."""
        before = sum(self._scene.admin.end_offsets(self.results).values())
        self._scene.send(messages)
        eventually(
            lambda: sum(self._scene.admin.end_offsets(self.results).values()) >= before + seen, SECONDS, "results are sent"
        )

    def lost(self) -> List[str]:
        """What is not where it should be, or is where it should not, however often."""
        return [f"{name} in {topic}?" for topic, ids, wanted in self._seen() for name in wanted.symmetric_difference(ids)]

    def wrong(self) -> List[str]:
        """What is not seen, seen more than once, or not in the order of its key."""
        found = []
        for topic, ids, wanted in self._seen():
            seen = Counter(ids)
            found += [
                f"{name} is {seen[name]} times in {topic}" for name in wanted | set(seen) if seen[name] != (name in wanted)
            ]
        last: Dict[str, int] = {}
        for each in map(self.sent.__getitem__, ids):
            if each.sequence <= last.get(each.key, -1):
                found.append(f"{each.id} came behind number {last[each.key]} of its key")
            last[each.key] = each.sequence
        return found

    def _seen(self) -> List[Tuple[str, List[str], Set[str]]]:
        """For each topic, the results' last, what is there and what should be."""
        bad = {name for name, each in self.sent.items() if "trouble" in each.payload}
        return [
            (self.letters, self._ids(self.letters), bad),
            (self.results, self._ids(self.results), set(self.sent) - bad),
        ]

    def _ids(self, topic: str) -> List[str]:
        return [json.loads(record.value or b"{}")["id"] for record in self._scene.admin.records(topic)]


def kill_one(service: Service, chance: random.Random) -> None:
    """One of its processes, of those in which something runs if there are such; another has its place when this returns."""
    children = sorted(service.children().items())
    busy = {entry.pid for entry in service.ledger.running()}
    slot, child = chance.choice([each for each in children if each[1] in busy] or children)
    os.kill(child, signal.SIGKILL)
    eventually(lambda: service.children().get(slot, child) != child, SECONDS, f"slot {slot} has another process")
