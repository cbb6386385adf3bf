"""Which dead letters a command is about: the topics, and in them the letters that were asked for."""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, Set

from kafka_worker.ops.connection import Range
from kafka_worker.ops.dead_letters.cluster import Cluster
from kafka_worker.ops.dead_letters.letter import Letter, Listed, history, is_marker, selected
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest, LetterId
from kafka_worker.shared.output.streams import complain
from kafka_worker.shared.routes import Route
from kafka_worker.shared.settings import Settings


class Scope:
    """A dead-letter topic, as it was when the command looked: what comes later is not looked at, so that a message which is
    replayed and fails again at once is not replayed in a circle."""

    def __init__(self, cluster: Cluster, name: str, partitions: List[int], topic: str, wanted: DeadLetterRequest) -> None:
        """Asks how far the topic `name` goes, which has the dead letters of `topic`."""
        self.name = name
        self._topic = topic
        self._cluster = cluster
        self.partitions = partitions
        self._wanted = wanted
        self.refresh()

    def refresh(self) -> None:
        """Take it as it is now."""
        self._ranges = self.now()

    def now(self) -> Dict[int, Range]:
        """How far the topic goes by now."""
        return self._cluster.ranges(self.name, self.partitions)

    def letters(self) -> Iterator[Listed]:
        """All letters that are wanted, in the order of their partitions. The topic is read twice, because what resolves a
        letter stands behind it, and a whole topic may not fit into memory."""
        known = history(self._cluster.read(self.name, self._ranges))
        for record in self._cluster.read(self.name, self._narrowed()):
            letter = Letter.of(record, self._topic, known.replays)
            if not is_marker(record) and selected(letter, self._wanted):
                yield letter, known.resolutions.get(letter.place)

    def places(self) -> Set[LetterId]:
        """The letters that were named by their places, and are there."""
        return {letter.place for letter, _ in self.letters()} if self._wanted.places else set()

    def _narrowed(self) -> Dict[int, Range]:
        """What must be read for letters: of places that were named, only their partitions from there on."""
        lowest: Dict[int, int] = {}
        for partition, offset in self._wanted.places:
            lowest[partition] = min(offset, lowest.get(partition, offset))
        if not lowest:
            return self._ranges
        return {number: (max(first, lowest[number]), end) for number, (first, end) in self._ranges.items() if number in lowest}


def scopes_of(
    settings: Settings, wanted: DeadLetterRequest, cluster: Cluster, topics: Mapping[str, List[int]]
) -> Iterator[Scope]:
    """The dead-letter topics of the service that exist; the others are named."""
    suffix = settings.dead_letter_suffix
    for name in dict.fromkeys(name for topic in settings.topics for name in _names(topic, suffix, topics)):
        if name in topics:
            yield Scope(cluster, name, topics[name], name[: -len(suffix)], wanted)
        else:
            complain(f"{name}: none. There is no such topic, or it may not be seen with these rights")


def _names(topic: str, suffix: str, topics: Mapping[str, List[int]]) -> List[str]:
    """The dead-letter topics of a topic, or of all those that a pattern fits."""
    route = Route(topic, "")
    if not route.is_pattern:
        return [topic + suffix]
    return sorted(name for name in topics if name.endswith(suffix) and route.matches(name[: -len(suffix)]))
