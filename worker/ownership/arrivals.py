"""What the broker knows of partitions that were just assigned, and whether they are still what they were. Consumer thread
only.

A topic that is made anew under a running service begins again at offset 0, but the client goes on where it was: messages
below would be skipped. Only the topic's id tells. Our client says in its log that it goes by another one, before it has
anything of the new topic. Where it fetches by names (from brokers before 3.1), or does not say it, a look now and then finds
it, some seconds late. The same look finds topics that are missing: the client tells that once, or never, and not that they are
there.

And a client may read nothing of the new topic, for ever: it keeps the epochs that leaders of the former one had, takes
whatever is told with a lower one for old news, and its questions are refused for theirs (librdkafka 2.16). Then another client
has to take its place: at once, where its log says which epochs it was told; or when it has been silent for very long.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Set

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.rewinds import BEGINNING, END
from kafka_worker.kafka.topic_ids import short
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.recovery.offset_map import decode
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared.topic_settings import PATTERN

COMMITTED_SECONDS = 5.0  # for the broker to tell what it holds of newly assigned partitions
AGAIN_SECONDS = 1.0  # the same when it did not, and others of our partitions have to wait meanwhile
LOOK_SECONDS = 5.0  # between two looks at what the topics are, and between two questions that are not answered
SILENT_SECONDS = 30.0  # for a client to tell anything of a topic that was made anew under it, whatever waits before that

UNTOLD = "the broker has not told what was committed"


class Arrivals:
    """What one process waits to hear of the partitions that it was just given."""

    def __init__(self, recovery: Recovery, subscribed: Iterable[str]) -> None:
        """Nothing is assigned yet. `subscribed`: to what, patterns too."""
        self._recovery = recovery
        self._subscribed = [topic for topic in subscribed if not topic.startswith(PATTERN)]
        self._asked: Set[str] = set()
        self.missing: List[str] = []  # of these, as of the last look
        self._former: Set[str] = set()  # ids of topics that are no more: a broker may be behind, and tell them still
        self._look_at = 0.0
        self._again_at = 0.0
        self.use()

    def use(self) -> None:
        """There is another client, which knows no topic yet."""
        self._homes: Dict[str, Home] = {}  # what our client has known the topics as
        self._anew: Set[str] = set()  # those that were made anew since
        self._by_client: Dict[str, Home] = {}  # what it says that they are by now
        self._silent: Dict[Partition, float] = {}  # of which it has told nothing yet, and since when
        self.outlived = False  # it tells nothing of a topic that was made anew under it

    def receive(self, consumer: GroupConsumer, partitions: List[Partition], seconds: float = COMMITTED_SECONDS) -> None:
        """They were just assigned: find out what is committed and done of them. Of what is not told in time nothing is
        started before it is."""
        if not partitions:
            return
        consumer.ids.ask(partition.topic for partition in partitions)
        committed = consumer.committed([(partition.topic, partition.number) for partition in partitions], seconds)
        # An offset of an earlier topic must not be taken for one of this. Else nobody need wait: the next look comes. So where
        # only a client has told the topic's id: ours tells it again, before anything of it comes.
        told = any(maps and maps.home.cluster for maps in (decode(metadata) for _, metadata in committed.values()))
        homes = consumer.ids.answer(COMMITTED_SECONDS if told else 0.0) or {}
        for partition in partitions:
            name = (partition.topic, partition.number)
            if name not in committed:
                partition.flow.put_off(UNTOLD)
                continue
            partition.flow.told()
            home = homes.get(partition.topic, UNKNOWN).completed(self._by_client.get(partition.topic, UNKNOWN))
            if not self._recovery.restore(partition, *committed[name], home):
                _read_anew(consumer, partition)
            elif partition.flow.not_begun and partition.stored.committed < 0 and consumer.begins_at_the_end:
                _read_anew(consumer, partition, END)  # the client itself has begun with the first message
        self.check_soon()

    def check_soon(self) -> None:
        """Something is new, or strange."""
        self._look_at = 0.0

    def check(self, consumer: GroupConsumer, assignment: Iterable[Partition], now: float) -> List[Partition]:
        """Once in a turn: those whose topic was made anew since."""
        homes = consumer.ids.answer() if self._look_at else None  # else it is of a time before what is new
        if homes is None:
            if now >= self._look_at:
                # Not about all at the very first look, when there is nothing to ask: to be in the group soon is more.
                first, self._look_at = self._look_at == 0.0 and not self._asked, now + LOOK_SECONDS
                self._asked = {*(partition.topic for partition in assignment), *(() if first else self._subscribed)}
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
        """Our client goes by this id. Those of which another one was told; of the others it is the one."""
        home = self._by_client[topic] = Home("", short(topic_id))
        ours = [partition for partition in assignment if partition.topic == topic]
        anew = self._over([partition for partition in ours if partition.stored.home.differs(home)])
        for partition in ours:
            partition.stored.told_home(partition.stored.home.completed(home))
        return anew

    def made_anew(self, topic: str, topic_id: str, assignment: Iterable[Partition]) -> List[Partition]:
        """Our client goes by this id from now on: those whose topic was another one before."""
        self._anew.add(topic)
        home = self._by_client[topic] = Home("", short(topic_id))
        return self._over([each for each in assignment if each.topic == topic and each.stored.home.topic != home.topic])

    def _over(self, partitions: List[Partition]) -> List[Partition]:
        self._former.update(each.stored.home.topic for each in partitions if each.stored.home.topic)
        return partitions

    def _listen(self, homes: Mapping[str, Home], partitions: List[Partition], now: float) -> None:
        """Whether our client tells anything of the topics that were made anew under it."""
        for topic, home in homes.items():
            before = self._homes.get(topic, UNKNOWN)
            if before.differs(home):
                self._anew.add(topic)
            self._homes[topic] = home.completed(before)
        asked = [each for each in partitions if each.topic in self._anew and not (each.flow.paused or each.flow.suspended)]
        self._silent = {each: self._silent.get(each, now) for each in asked if not each.heard}
        self.outlived = any(now - since >= SILENT_SECONDS for since in self._silent.values())

    def again(self, consumer: GroupConsumer, held: Iterable[Partition], now: float) -> List[Partition]:
        """Once in a turn: ask again about those of which nothing was told, and which are held for that. Those of which it was
        told now."""
        waiting = [partition for partition in held if partition.flow.not_begun]
        if not waiting or now < self._again_at:
            return []
        self._again_at = now + LOOK_SECONDS
        self.receive(consumer, waiting, AGAIN_SECONDS)
        return [partition for partition in waiting if not partition.flow.untold]


def _read_anew(consumer: GroupConsumer, partition: Partition, offset: int = BEGINNING) -> None:
    """From there on, whatever came of it."""
    consumer.rewind((partition.topic, partition.number), offset)
    partition.comes_again(offset)
    partition.flow.drop()
