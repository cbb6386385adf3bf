"""Whether a broker answers us, and lets us in, judged by what the client says and by what works."""

from __future__ import annotations

import logging
import re
from typing import Callable, Dict, Optional

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.errors import Meaning, meaning
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

UNAUTHORISED_AFTER = 10.0  # seconds of refusals without any success before we give up: rights may just be changing
LOOK_EVERY = 5.0  # seconds, while none answers
UNCOMMITTED_SECONDS = 3.0  # for so long all commits may be refused: a coordinator that moves refuses some
SILENT_SECONDS = 10.0  # of all brokers, while they are asked something: that may be waited for, or nobody is there
#: Of a broker in the client's statistics: its state, requests that wait for an answer, microseconds since the last one.
_OF_BROKER = re.compile(r'"state": ?"(\w+)".*?"waitresp_cnt": ?(\d+).*?"rxidle": ?(-?\d+)')
_FETCHES = re.compile(r'"name": ?"([^"]*)", ?"nodeid".*?"Fetch": ?(\d+)')  # its name; that it was asked for, since its start
FEW = 5  # fetches between two statistics, 5 s: where nothing waits to be read they are ten times as many, else more
_REMEDIES = {
    "COORDINATOR_NOT_AVAILABLE": ". Has __consumer_offsets enough replicas in sync (min.insync.replicas)?",
    "TOPIC_AUTHORIZATION_FAILED": ". Allow us to read the topic (ACL: READ)",
    "INCONSISTENT_GROUP_PROTOCOL": ". Its members have another partition.assignment.strategy than we: `lag` names them",
}


class Brokers:
    """The brokers, as one client sees them. Consumer thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing is known against them."""
        self.away = False  # none answers
        self._fetches: Dict[str, int] = {}  # that were sent to each
        self._quick: Optional[str] = None  # what is told of those that answer more than a few, partitions and all
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self._refused_since: Optional[float] = None
        self._silent = False  # none has said anything for a while
        self._next_look = 0.0
        self._uncommitted = (0.0, "")  # since when commits are refused, and why; empty: they are not
        self._unjoined = ""  # why the group does not take us, as far as is known

    def let_in(self) -> None:
        """Messages came. That does not say whether a broker is still there: the client may have had them for long."""
        self._refused_since = None

    def answered(self) -> None:
        """Something has worked, just now."""
        self.let_in()
        if self.away:
            self.away = False
            log.info("A broker answers again", extra=about(Event.BROKER_BACK))

    def commit_refused(self, error: KafkaError) -> None:
        """It matters if it may pass, and no other commit is stored. (Refusals by a rebalance are routine.)"""
        if meaning(error.name()) in (Meaning.PASSING, Meaning.FORBIDDEN):
            since = self._uncommitted[0] if self._uncommitted[1] else self._clock()
            self._uncommitted = (since, error.str() + _REMEDIES.get(error.name(), ""))

    def owed_nothing(self) -> None:
        """A commit was stored, or others will commit what we would have."""
        self._uncommitted = (0.0, "")

    def not_joined(self, error: KafkaError) -> None:
        """The client tells once only why it is not let into the group, and tries on."""
        if error.str().startswith("JoinGroup failed"):
            self._unjoined = f"the group does not take us: {error.str()}{_REMEDIES.get(error.name(), '')}"

    def joined(self) -> None:
        """We are in the group."""
        self._unjoined = ""
        self.answered()

    @property
    def trouble(self) -> str:
        """Why the group does not take us, or no commit is stored; empty: neither is so, as far as is known."""
        if self._unjoined:
            return self._unjoined
        since, why = self._uncommitted
        return f"no commit is stored: {why}" if why and self._clock() - since >= UNCOMMITTED_SECONDS else ""

    def down(self, error: KafkaError) -> None:
        """One broker of several may be down without harm; all of them, or the only one we ever knew, is what counts."""
        if error.name() == "_ALL_BROKERS_DOWN":
            self._none_answers(error)

    def hear(self, statistics: str) -> None:
        """Of brokers that take what they are asked and say nothing (they are frozen, or packets get lost) the client says
        nothing either for a minute, and that none is there half a minute later. So they are asked (see `ask`)."""
        place = statistics.find('"brokers":'), statistics.find('"topics":')  # a topic may have that name
        self._count(statistics, *place)
        brokers = _OF_BROKER.findall(statistics, *place)
        up = [(int(waiting), int(idle)) for state, waiting, idle in brokers if state == "UP"]
        self._silent = any(waiting for waiting, _ in up) and min(idle for _, idle in up) >= 1e6 * SILENT_SECONDS

    def doubt(self) -> None:
        """Who asks beside us is told nothing: we may not be, either."""
        self._silent = True

    def _count(self, statistics: str, begin: int, end: int) -> None:
        found = list(_FETCHES.finditer(statistics, begin, end))
        ends = [*(each.start() for each in found[1:]), end]
        quick = [(one, behind) for one, behind in zip(found, ends) if int(one[2]) - self._fetches.get(one[1], 0) >= FEW]
        self._quick = "".join([statistics[one.end() : behind] for one, behind in quick])
        self._fetches = {one[1]: int(one[2]) for one in found}

    def is_slow(self, name: TopicPartition) -> bool:
        """Whether fetches take long where this partition is fetched, as far as is known. The others' brokers do not matter."""
        topic, number = name
        return self._quick is not None and f'"{topic}-{number}":' not in self._quick

    def _none_answers(self, error: KafkaError) -> None:
        self.away = True
        how = "" if error.name() == "_ALL_BROKERS_DOWN" else f" ({error.str()})"
        self._complaint.log(
            logging.WARNING, "No broker answers%s. Waiting for one. Is KAFKA_BOOTSTRAP_SERVERS right? `check` says more", how,
            extra=about(Event.BROKER_AWAY, reason=error.name()),
        )  # fmt: skip

    def refused(self, error: KafkaError) -> None:
        """We have no right to something that we need."""
        if self._refused_since is None:
            self._refused_since = self._clock()
        self._complaint.log(
            logging.ERROR, "The broker refuses us: %s. Check credentials and rights (ACLs)",
            error, extra=about(Event.BROKER_REFUSES, reason=error.name()),
        )  # fmt: skip

    @property
    def refuse_for_good(self) -> bool:
        """It has gone on for too long to be a change of rights."""
        return self._refused_since is not None and self._clock() - self._refused_since >= UNAUTHORISED_AFTER

    def ask(self, consumer: Consumer) -> None:
        """Ask, while none answers, or says anything, as far as we know."""
        if not (self.away or self._silent) or self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK_EVERY
        try:
            consumer.list_topics(topic="", timeout=0.5)
        except KafkaException as problem:
            log.debug("Still no broker: %s", problem)
            if not self.away:
                self._none_answers(problem.args[0])
        else:
            self._silent = False
            self.answered()

    def coordinator_answers(self, consumer: Consumer, topic: str, seconds: float) -> bool:
        """Whether the group's coordinator answers within so many seconds what no other broker can. A member's request to leave
        is lost if the client knows no coordinator just then, and nobody is told (librdkafka 2.16, `rd_kafka_cgrp_leave`)."""
        if self.away:
            return False
        try:
            consumer.committed([ClientPartition(topic, 0)], timeout=max(0.05, seconds))
        except KafkaException:
            return False
        return True
