"""What the broker knows of partitions that were just assigned, and whether they are still what they were. Consumer thread
only.

A topic that is made anew under a running service begins again at offset 0, but the client goes on where it was: messages below
would be skipped. Only the topic's id tells. Our client says in its log that it goes by another id, before it has anything of
the new topic. Where it fetches by names (from brokers before 3.1), or does not say so, a look now and then finds out, some
seconds late. The same look finds missing topics: the client says that they are missing once, or never, and not when they are
there.

And a client may read nothing of the new topic, for ever: it keeps the epochs of the former topic's leaders, takes whatever
comes with a lower one for old news, and its questions are refused for theirs (librdkafka 2.16). Then another client has to
take its place: at once, if its log says which epochs it was told; or when it has been silent for very long.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Set

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.rewinds import BEGINNING
from kafka_worker.kafka.topic_ids import short
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.recovery.offset_map import decode
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared.topic_settings import PATTERN

COMMITTED_SECONDS = 5.0  # for the broker to tell what it holds of newly assigned partitions
AGAIN_SECONDS = 1.0  # the same when it did not, and our other partitions have to wait meanwhile
LOOK_SECONDS = 5.0  # between two looks at what the topics are, and two questions that are not answered
SILENT_SECONDS = 30.0  # for a client to say anything of a topic that was made anew under it

UNTOLD = "the broker has not told what was committed"


class Arrivals:
    """What one process has to learn of the partitions that it was just given."""

    def __init__(self, recovery: Recovery, subscribed: Iterable[str]) -> None:
        """Nothing is assigned yet. `subscribed`: topics and patterns."""
        self._recovery = recovery
        self._subscribed = [topic for topic in subscribed if not topic.startswith(PATTERN)]
        self._asked: Set[str] = set()
        self.missing: List[str] = []  # of these, as of the last look
        self._former: Set[str] = set()  # ids of topics that are no more: a broker that is behind may still tell them
        self._look_at = 0.0
        self._again_at = 0.0
        self.use()

    def use(self) -> None:
        """There is another client, which knows no topic yet."""
        self._homes: Dict[str, Home] = {}  # what the topics were at the last look
        self._anew: Set[str] = set()  # those that were made anew since
        self._by_client: Dict[str, Home] = {}  # what our client says they are by now
        self._silent: Dict[Partition, float] = {}  # of which it has said nothing yet, and since when
        self.outlived = False  # it says nothing of a topic that was made anew under it

    def receive(self, consumer: GroupConsumer, partitions: List[Partition], seconds: float = COMMITTED_SECONDS) -> None:
        """These were just assigned: find out what is committed and done of them. Of what is not told in time nothing is
        fetched before it is."""
        if not partitions:
            return
        consumer.ids.ask(partition.topic for partition in partitions)
        committed = consumer.committed([partition.name for partition in partitions], seconds)
        # An offset of an earlier topic must not be taken for one of this. Else nobody need wait: the next look comes. So where
        # only a client has told the topic's id: ours tells it again, before anything of it comes.
        told = any(maps and maps.home.cluster for maps in (decode(metadata) for _, metadata in committed.values()))
        homes = consumer.ids.answer(COMMITTED_SECONDS if told else 0.0) or {}
        for partition in partitions:
            if partition.name not in committed:
                partition.flow.put_off(UNTOLD)
                partition.flow.pause()
                consumer.pause_from_the_start([partition.name])
                continue
            partition.flow.told()
            home = homes.get(partition.topic, UNKNOWN).completed(self._by_client.get(partition.topic, UNKNOWN))
            if not self._recovery.restore(partition, *committed[partition.name], home):
                _read_anew(consumer, partition)
            elif partition.flow.not_begun:  # and paused, at its first message
                _read_anew(consumer, partition, consumer.begins_at(partition.name, committed[partition.name][0]))
        self.check_soon()

    def check_soon(self) -> None:
        """Something is new, or strange."""
        self._look_at = 0.0

    def check(self, consumer: GroupConsumer, assignment: Iterable[Partition], now: float) -> List[Partition]:
        """Once in a turn. Returns those whose topic was made anew since."""
        homes = consumer.ids.answer() if self._look_at else None  # else it is of a time before what is new
        if homes is None:
            if now >= self._look_at:
                # First while we join: where offsets are committed, an assignment waits for the answer, which has to connect.
                self._look_at = now + LOOK_SECONDS
                self._asked = {*(partition.topic for partition in assignment), *self._subscribed}
                consumer.ids.ask(self._asked)
            return []
        self.missing = sorted(self._asked.difference(homes).intersection(self._subscribed))
        homes = {topic: home for topic, home in homes.items() if home.topic not in self._former}
        known = [partition for partition in assignment if not partition.flow.not_begun]
        anew = self._over([each for each in known if each.stored.home.differs(homes.get(each.topic, UNKNOWN))])
        for partition in known:
            partition.stored.told_home(homes.get(partition.topic, UNKNOWN))
        self._listen(homes, known, now)
        return anew

    def known_as(self, topic: str, topic_id: str, assignment: Iterable[Partition]) -> List[Partition]:
        """Our client goes by this id. Returns those of which another was told; the others take it as theirs."""
        home = self._by_client[topic] = Home("", short(topic_id))
        ours = [partition for partition in assignment if partition.topic == topic]
        anew = self._over([partition for partition in ours if partition.stored.home.differs(home)])
        for partition in ours:
            partition.stored.told_home(partition.stored.home.completed(home))
        return anew

    def made_anew(self, topic: str, topic_id: str, assignment: Iterable[Partition]) -> List[Partition]:
        """Our client goes by this id from now on. Returns those whose topic was another one before."""
        self._anew.add(topic)
        home = self._by_client[topic] = Home("", short(topic_id))
        return self._over([each for each in assignment if each.topic == topic and each.stored.home.topic != home.topic])

    def _over(self, partitions: List[Partition]) -> List[Partition]:
        self._former.update(each.stored.home.topic for each in partitions if each.stored.home.topic)
        return partitions

    def _listen(self, homes: Mapping[str, Home], partitions: List[Partition], now: float) -> None:
        """Note whether our client says anything of the topics that were made anew under it."""
        for topic, home in homes.items():
            before = self._homes.get(topic, UNKNOWN)
            if before.differs(home):
                self._anew.add(topic)
            self._homes[topic] = home.completed(before)
        asked = [each for each in partitions if each.topic in self._anew and not (each.flow.paused or each.flow.suspended)]
        self._silent = {each: self._silent.get(each, now) for each in asked if not each.heard}
        self.outlived = any(now - since >= SILENT_SECONDS for since in self._silent.values())

    def again(self, consumer: GroupConsumer, held: Iterable[Partition], now: float) -> List[Partition]:
        """Once in a turn: ask again about those that are held because nothing was told of them. Returns those that can begin
        now."""
        waiting = [partition for partition in held if partition.flow.not_begun]
        if not waiting or now < self._again_at:
            return []
        self._again_at = now + LOOK_SECONDS
        self.receive(consumer, waiting, AGAIN_SECONDS)
        return [partition for partition in waiting if not partition.flow.untold]


def _read_anew(consumer: GroupConsumer, partition: Partition, offset: int = BEGINNING) -> None:
    """From there on, whatever came of it."""
    consumer.rewind(partition.name, offset)
    partition.comes_again(offset)
    partition.flow.drop()
