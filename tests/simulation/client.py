"""The clients by which a child reaches the broker. They do what librdkafka's do, as far as the child can tell: callbacks come
inside `poll` and `consume`, a commit arrives late, a revocation waits for the commits that were sent in it, and positions are
ahead of what `consume` has yet to return.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.partitions.stored import Home
from tests.simulation.broker import NOTHING, Broker
from tests.simulation.fetching import Delivered, Fetching
from tests.simulation.oracle import TopicPartition
from tests.simulation.scheduler import Scheduler

LATENCY = (0.0, 0.02, 0.7)  # seconds until a commit arrives


class _Commit(NamedTuple):
    arrives: float
    places: List[ClientPartition]
    epochs: Dict[TopicPartition, int]


class Client:
    """In the place of the client's Consumer, of one process."""

    def __init__(self, broker: Broker, scheduler: Scheduler, properties: Dict[str, Any], moves: List[float]) -> None:
        """`moves`: when the group gives or takes."""
        self._broker = broker
        self._oracle = broker.oracle
        self._chance = broker.chance
        self._scheduler = scheduler
        self._on_commit: Callable[..., None] = properties["on_commit"]
        self._on_error: Callable[..., None] = properties["error_cb"]
        self._unsought: Set[TopicPartition] = set()  # that it does not read from elsewhere yet
        self.refuses = False  # to read from elsewhere, at least once
        self._callbacks: Dict[str, Callable[..., None]] = {}
        self.moves = moves
        self._way: List[_Commit] = []
        self._answers: List[Tuple[Optional[KafkaError], List[ClientPartition]]] = []
        self._fetching = Fetching(broker, lambda: scheduler.now)
        self._begins: Dict[TopicPartition, int] = {}  # where the child has said, of what is just assigned
        self._epoch: Dict[TopicPartition, int] = {}  # that the client knows of
        self._seen: Dict[
            TopicPartition, int
        ] = {}  # that the child may know of: what was delivered is looked at by the next poll
        self.on_gone: Callable[[List[TopicPartition]], None] = lambda _names: None
        self.on_taken: Callable[[List[TopicPartition]], None] = lambda _names: None
        self.on_given: Callable[[List[TopicPartition]], None] = lambda _names: None

    # ---- membership ----

    def subscribe(self, _topics: List[str], on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost}

    def unsubscribe(self) -> None:
        self._take(sorted(self._fetching.next), "revoke")

    def consumer_group_metadata(self) -> Any:
        return SimpleNamespace(assignments=dict(self._broker.assignments), epochs=dict(self._seen))

    def memberid(self) -> None:
        """Its word is out at once."""

    def assignment(self) -> List[ClientPartition]:
        return [ClientPartition(*name) for name in self._fetching.next]

    def close(self) -> None:
        self._take(sorted(self._fetching.next), "revoke")

    def _move(self, *, inside: bool) -> None:
        """The group has changed its mind. `inside` a batch things only go away: for them to come back within one, or to begin
        anew, the network would have to be quicker than a call that does not wait."""
        missing = [name for name in self._oracle.keys if name not in self._fetching.next]
        if missing and inside:
            return
        if self._away:  # nobody hears of the group; but a client gives up by itself what it has had for too long
            if missing or self._chance.random() < 0.7:
                self.moves[0] = self._broker.away_until + self._chance.choice([0.0, 1.0])
            else:
                self._take(sorted(self._fetching.next), "lost")
            return
        del self.moves[0]
        if missing:
            self._give(missing)
            return
        may_be_anew = not (inside or self._broker.topics.delays)
        what = self._chance.choice(["revoke", "revoke", "revoke", "lost", "lost"] + ["anew", "anew, unnoticed"] * may_be_anew)
        if what == "anew, unnoticed":
            # Where the broker tells no ids, nobody can see it but by offsets that go back.
            # Not where what comes is thrown away until it is read from elsewhere.
            all_come = not (self._broker.damaged or self._fetching.paused or self._unsought)
            went_back = all_come and all(position > 0 for position in self._fetching.position.values())
            if self._broker.tells_ids or went_back:
                self._broker.made_anew()
                self._oracle.unseen.update(self._fetching.next if self._broker.tells_ids else ())
                for name in self._fetching.next:
                    self._fetching.next[name] = 0
                    self._fetching.anew(name)
            return
        if what == "anew":
            self._broker.made_anew()
        names = sorted(self._fetching.next)
        self._take(
            names if what == "anew" else self._chance.sample(names, self._chance.randint(1, len(names))),
            "revoke" if what == "revoke" else "lost",
        )
        missing = [name for name in self._oracle.keys if name not in self._fetching.next]
        for name in missing:
            if self._chance.random() < 0.3:
                self._broker.elsewhere(name, self._scheduler.now)
        self.moves.insert(0, self._scheduler.now + self._chance.choice([0.0, 1.0, 5.0]))
        if self._chance.random() < 0.5 and not inside:  # at once
            self._give(missing)
            del self.moves[0]

    def _give(self, names: List[TopicPartition]) -> None:
        for name in names:
            self._broker.assignments[name] = self._broker.assignments.get(name, 0) + 1
            self._broker.since[name] = self._scheduler.now
            self._fetching.paused.discard(name)
        self._oracle.unseen.difference_update(names)
        self.on_given(names)
        self._begins = {}
        self._callbacks["assign"](self, [ClientPartition(*name) for name in names])
        self.on_taken(names)
        for name in names:
            self._fetching.begin(name, self._begins.get(name, self._broker.group.get(name, (0, ""))[0]))
            self._fetching.begins_at[name] = self._scheduler.now + self._chance.choice([0.0, 0.0, 0.02, 0.5, 3.0])
            if name not in self._begins and name in self._broker.pending:
                self._fetching.waits.add(name)
            self._epoch[name] = self._seen[name] = self._oracle.epochs[name]

    def incremental_assign(self, places: List[ClientPartition]) -> None:
        """They are assigned when the callback returns, and paused then if they were."""
        self._begins = {(p.topic, p.partition): p.offset for p in places if p.offset != NOTHING}

    def _take(self, names: List[TopicPartition], how: str) -> None:
        if not names:
            return
        if how == "lost":
            for commit in self._way:
                self._answers.append((KafkaError(KafkaError.ILLEGAL_GENERATION), commit.places))
            self._way = []
        self._callbacks[how](self, [ClientPartition(*name) for name in names])
        self.arrived(flush=True)
        self._unsought.difference_update(names)
        for name in names:
            self._fetching.forget(name)
            del self._epoch[name]
            self._broker.since.pop(name, None)
        self.on_gone(names)

    # ---- messages ----

    def poll(self, timeout: float) -> Optional[Delivered]:
        self._seen = dict(self._epoch)
        self._scheduler.wait(timeout, self._something, lazy=True)
        self.look()
        self._serve()
        return next(iter(self._delivered(1)), None)

    def consume(self, most: int, _timeout: float) -> List[Delivered]:
        if self._chance.random() < 0.2:
            self._serve(inside=True)
        out = self._delivered(most)
        while out and len(out) < most and self._chance.random() < 0.3:
            out += self._delivered(most - len(out))
        return out

    def look(self) -> None:
        """What follows from the time."""
        self.arrived()
        self._fetching.look()
        for name in self._fetching.next:
            if self._away and name in self._broker.since:
                self._broker.since[name] = self._broker.away_until
            elif name in self._broker.since and self._epoch[name] == self._oracle.epochs[name]:
                self._oracle.late(name, self._broker.held(name), self._broker.since[name], self._scheduler.now)

    @property
    def _away(self) -> bool:
        return self._scheduler.now < self._broker.away_until

    def list_topics(self, topic: str, timeout: float) -> None:
        """An answer is all that is wanted."""
        if self._away:
            self._scheduler.wait(timeout)
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def _something(self) -> bool:
        now = self._scheduler.now
        due = [*self.moves[:1], *(commit.arrives for commit in self._way[:1])]
        return bool(self._answers or self._fetching.ready()) or any(at <= now for at in due)

    def _serve(self, *, inside: bool = False) -> None:
        answers, self._answers = self._answers, []
        for problem, places in answers:
            self._on_commit(problem, places)
        if self._away and self._chance.random() < 0.1:
            self._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        if self.moves and self.moves[0] <= self._scheduler.now:
            self._move(inside=inside)

    def _delivered(self, most: int) -> List[Delivered]:
        self._fetching.look()
        names = self._fetching.ready()
        if not names:
            return []
        name = self._chance.choice(names)
        self._epoch[name] = self._oracle.epochs[name]
        return self._fetching.read(name, self._chance.randint(1, most))

    def pause(self, places: List[ClientPartition]) -> None:
        for place in places:
            self._fetching.paused.add((place.topic, place.partition))
            self._fetching.anew((place.topic, place.partition))

    def resume(self, places: List[ClientPartition]) -> None:
        self._fetching.paused.difference_update((place.topic, place.partition) for place in places)

    def seek(self, place: ClientPartition) -> None:
        name = (place.topic, place.partition)
        if self._chance.random() < 0.1:  # its leader moves
            self._fetching.begins_at[name] = self._scheduler.now + self._chance.choice([0.02, 0.5, 3.0])
        if name not in self._fetching.next or name in self._fetching.waits or not self._fetching.has_begun(name):
            self.refuses = True
            self._unsought.add(name)
            raise KafkaException(KafkaError(KafkaError._STATE))
        self._unsought.discard(name)
        # Of a topic made anew, of which nothing has come yet, a real client tells before that, or nobody can know it.
        self._fetching.begin(name, place.offset if self._epoch[name] == self._oracle.epochs[name] else 0)
        if place.offset >= 0:
            return
        self._oracle.unseen.discard(name)
        self._broker.assignments[name] += 1
        if name in self._broker.since:
            self._broker.since[name] = self._scheduler.now
        self._oracle.forgets(self._oracle.remembered(name))
        self._oracle.strange.update(task for task in self._oracle.calls if task.name == name)

    def position(self, places: List[ClientPartition]) -> List[ClientPartition]:
        at = self._fetching.position
        return [ClientPartition(p.topic, p.partition, at.get((p.topic, p.partition), NOTHING)) for p in places]

    def get_watermark_offsets(self, place: ClientPartition, cached: bool) -> Tuple[int, int]:
        name = (place.topic, place.partition)
        return self._broker.low[name], len(self._oracle.keys[name])

    # ---- commits ----

    def commit(self, offsets: List[ClientPartition], asynchronous: bool) -> None:
        arrives = max([self._scheduler.now + self._chance.choice(LATENCY), *(commit.arrives for commit in self._way)])
        self._way.append(_Commit(arrives, offsets, dict(self._seen)))

    def committed(self, places: List[ClientPartition], timeout: float) -> List[ClientPartition]:
        self.arrived()
        for place in places:
            if (place.topic, place.partition) in self._broker.since:
                self._broker.since[place.topic, place.partition] = self._scheduler.now
        pending = self._broker.pending.intersection((place.topic, place.partition) for place in places)
        if pending or self._away or self._chance.random() < self._broker.silence:
            if self._away or self._chance.random() < 0.3:
                self._scheduler.wait(min(timeout, max(0.3, self._broker.away_until - self._scheduler.now)))
            refused = [KafkaError._TIMED_OUT] if self._away else [KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR]
            raise KafkaException(KafkaError(self._chance.choice(refused)))
        stored = [self._broker.group.get((place.topic, place.partition), (NOTHING, "")) for place in places]
        return [ClientPartition(p.topic, p.partition, *each) for p, each in zip(places, stored)]

    def arrived(self, *, flush: bool = False) -> None:
        """Commits whose time has come are stored; `flush`: all of them."""
        while self._way and (flush or self._way[0].arrives <= self._scheduler.now):
            self._store(self._way.pop(0))

    def crash(self) -> None:
        """The process is dead: what was on its way arrives, or does not."""
        for commit in self._way[: self._chance.randint(0, len(self._way))]:
            self._store(commit)

    def _store(self, commit: _Commit) -> None:
        fails = self._chance.random() < (0.8 if self._away else 0.03)
        problem = KafkaError(self._chance.choice([KafkaError.REQUEST_TIMED_OUT, KafkaError._TRANSPORT])) if fails else None
        stored = problem is None or self._chance.random() < 0.2  # an answer may be lost
        names = [(place.topic, place.partition) for place in commit.places]
        # A real broker knows topics by their names only, and would take this: what it can't promise is not asked of us.
        if any(commit.epochs.get(name) != self._oracle.epochs[name] for name in names):
            problem, stored = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), False
        self._answers.append((problem, commit.places))
        for name, place in zip(names, commit.places):
            if stored:
                self._broker.store(name, place.offset, place.metadata)
            if problem is not None and name in self._broker.since:
                self._broker.since[name] = self._scheduler.now


class Ids:
    """In the place of `TopicIds`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._answer: Optional[Dict[str, Home]] = None

    def ask(self, topics: Iterable[str]) -> None:
        self._answer = {topic: self._broker.home() for topic in topics} or None

    def answer(self, patience: float = 0.0) -> Optional[Dict[str, Home]]:
        answer, self._answer = self._answer, None
        return answer
