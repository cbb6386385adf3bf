"""Messages for the test handlers: each with an id, a key and its number within the key, so that loss,
repetition and order can be told afterwards.
"""

from __future__ import annotations

import itertools
import json
import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List

if TYPE_CHECKING:
    from tests.support.admin import Row

Duration = Callable[[random.Random], int]  # milliseconds


@dataclass(frozen=True)
class Sent:
    """One message; `sequence` counts the messages of its key from 0."""

    id: str
    key: str
    sequence: int
    payload: Dict[str, Any]

    @property
    def row(self) -> Row:
        """As Admin.produce takes it."""
        return self.key.encode(), json.dumps(self.payload).encode(), None


def between(shortest: int, longest: int) -> Duration:
    """Evenly distributed, milliseconds."""
    return lambda chance: chance.randint(shortest, longest)


def uneven(mostly: int, rarely: int, share: float = 0.05) -> Duration:
    """Most of them short, a share of them long, milliseconds."""
    return lambda chance: rarely if chance.random() < share else mostly


SHORT = between(5, 20)


def messages(count: int, keys: int = 10, sleep_ms: Duration = SHORT, seed: int = 1) -> List[Sent]:
    """The same seed makes the same messages."""
    chance = random.Random(seed)
    counts = dict.fromkeys((f"key-{number}" for number in range(keys)), 0)
    sent = []
    for number in range(count):
        key = chance.choice(list(counts))
        sent.append(message(f"{seed}-{number}", key, counts[key], sleep_ms=sleep_ms(chance)))
        counts[key] += 1
    return sent


def message(name: str, key: str = "key-0", sequence: int = 0, **payload: Any) -> Sent:
    """One message; what `payload` may hold is said in tests/support/handlers.py."""
    return Sent(name, key, sequence, {"id": name, "key": key, "sequence": sequence, **payload})


def keys_of(partition: int, partitions: int, count: int = 1) -> List[str]:
    """Keys that the producer of tests puts into this partition."""
    numbered = (f"key-{number}" for number in itertools.count())
    fitting = (key for key in numbered if zlib.crc32(key.encode()) % partitions == partition)
    return list(itertools.islice(fitting, count))
