"""What topics are, by an admin client that answers as it is told."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, Dict, List
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection

from kafka_worker.kafka import topic_ids
from kafka_worker.kafka.topic_ids import STEADY_SECONDS, TopicIds
from kafka_worker.partitions.stored import ID_LENGTH, UNKNOWN, Home
from kafka_worker.recovery.offset_map import decode, encode

SECONDS = 10.0


class Answer:
    def __init__(self, **fields: str) -> None:
        self.__dict__.update(fields)


class Admin:
    """In the place of the admin client."""

    def __init__(self, properties: Dict[str, Any]) -> None:
        self.properties = properties
        self.cluster: Future[Any] = Future()
        self.topics: Dict[str, Future[Any]] = {name: Future() for name in ("one", "two", "a", "b")}  # before a thread asks
        self.asked: List[List[str]] = []
        self.brokers: Dict[int, str] = {1: "a broker"}
        self.takes = 0.0  # seconds, a plain question

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert topic == "" and timeout > 0
        clock[0] += self.takes
        return SimpleNamespace(brokers=self.brokers)

    def describe_cluster(self, request_timeout: float) -> Future[Any]:
        assert request_timeout > 0
        return self.cluster

    def describe_topics(self, topics: TopicCollection, request_timeout: float) -> Dict[str, Future[Any]]:
        assert request_timeout > 0
        self.asked.append(topics.topic_names)
        return {name: self.topics[name] for name in topics.topic_names}

    def tell(self, cluster: str, **ids: str) -> None:
        self.cluster.set_result(Answer(cluster_id=cluster))
        for name in ("one", "two"):
            if name in ids:
                self.topics[name].set_result(Answer(topic_id=ids[name]))
            else:
                self.topics[name].set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))


clock = [0.0]


@pytest.fixture
def admins(monkeypatch: pytest.MonkeyPatch) -> List[Admin]:
    made: List[Admin] = []

    def make(properties: Dict[str, Any]) -> Admin:
        made.append(Admin(properties))
        return made[-1]

    monkeypatch.setattr(topic_ids, "AdminClient", make)
    return made


def homes(admins: List[Admin], cluster: str, **ids: str) -> Dict[str, Home]:
    asked = TopicIds({})
    asked.ask(["one", "two"])
    admins[-1].tell(cluster, **ids)
    answer = asked.answer(SECONDS)
    assert answer is not None
    return answer


def test_what_is_made_anew_is_another_and_what_is_not_is_the_same(admins: List[Admin]) -> None:
    before = homes(admins, "cluster", one="id 1", two="id 2")
    after = homes(admins, "cluster", one="id 1", two="id 3")

    assert before["one"] == after["one"]
    assert before["two"].differs(after["two"])
    assert not before["two"].elsewhere(after["two"])
    assert before["one"].elsewhere(homes(admins, "wiped", one="id 4")["one"])


def test_while_the_machine_has_no_room_for_a_thread_nothing_is_known_and_nobody_ends(
    admins: List[Admin], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = TopicIds({})
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", Mock(side_effect=RuntimeError("can't start new thread")))
        asked.ask(["one", "two"])

    assert asked.answer(SECONDS) == {"one": UNKNOWN, "two": UNKNOWN}


def test_an_id_has_a_short_form_that_fits_into_a_commit(admins: List[Admin]) -> None:
    home = homes(admins, "c" * 500, one="4O4lxmD5RDaUtUN0an6Kng")["one"]

    assert [len(part) for part in home] == [ID_LENGTH, ID_LENGTH]
    read = decode(encode("abcdefgh", home, 7, []))
    assert read is not None
    assert read.home == home


def test_what_old_brokers_and_those_that_refuse_do_not_tell_is_unknown_and_differs_from_nothing(admins: List[Admin]) -> None:
    told = homes(admins, "", one="A" * 22)

    assert told == {"one": UNKNOWN, "two": UNKNOWN}
    known = homes(admins, "cluster", one="id 1")["one"]
    assert not known.differs(told["one"])
    assert UNKNOWN.completed(known) == known


def test_a_topic_that_does_not_exist_is_not_in_the_answer(admins: List[Admin]) -> None:
    asked = TopicIds({})
    asked.ask(["one", "two"])
    admins[-1].topics["two"].set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
    admins[-1].topics["one"].set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    admins[-1].cluster.set_result(Answer(cluster_id=""))

    assert asked.answer(SECONDS) == {"one": UNKNOWN}


def test_an_answer_that_has_not_come_is_none_and_one_that_has_is_told_once(admins: List[Admin]) -> None:
    asked = TopicIds({})
    nothing_asked = asked.answer(10)
    asked.ask(["one"])
    not_yet = asked.answer()
    admins[0].tell("cluster", one="id 1")

    assert (nothing_asked, not_yet) == (None, None)
    assert list(asked.answer(SECONDS) or {}) == ["one"]
    assert asked.answer() is None


def test_nothing_is_asked_about_no_topics_and_no_client_is_made_for_it(admins: List[Admin]) -> None:
    asked = TopicIds({})
    asked.ask([])

    assert admins == []
    assert asked.answer() is None


def test_a_client_that_refuses_the_properties_tells_nothing_and_is_complained_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_properties: Dict[str, Any]) -> None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG))

    monkeypatch.setattr(topic_ids, "AdminClient", refuse)
    asked = TopicIds({})
    asked.ask(["one"])
    asked.ask(["one"])

    assert asked.answer(10) is None
    assert len(caplog.records) == 1


def test_the_client_has_the_consumers_rights_and_is_quiet(admins: List[Admin]) -> None:
    asked = TopicIds({"security.protocol": "SSL", "debug": "all"})
    asked.ask(["b", "a", "b"])
    admins[0].tell("cluster")
    for name in ("a", "b"):
        admins[0].topics[name].set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    asked.answer(SECONDS)
    asked.ask(["a"])
    asked.answer(SECONDS)

    assert [admin.properties for admin in admins] == [{"security.protocol": "SSL", "log_level": 0}]
    assert admins[0].asked == [["a", "b"], ["a"]]


def test_a_cluster_without_brokers_or_that_is_slow_is_not_asked_nor_before_it_has_been_well_for_a_while(
    admins: List[Admin],
) -> None:
    asked = TopicIds({}, lambda: clock[0])
    asked.ask(["one"])
    (admin,) = admins
    admin.tell("cluster", one="id 1")

    def known(after: float, brokers: int, takes: float) -> bool:
        """Whether something is told, asked so long after the one before, of so many brokers, after so many seconds."""
        clock[0] += after
        admin.brokers, admin.takes = dict.fromkeys(range(brokers), ""), takes
        asked.ask(["one"])
        return (asked.answer(SECONDS) or {})["one"] != UNKNOWN

    assert known(0, 1, 0)
    assert [known(5, 0, 0), known(0.1, 1, 0), known(STEADY_SECONDS - 0.2, 1, 0), known(0.2, 1, 0)] == [
        False,
        False,
        False,
        True,
    ]
    assert [known(5, 1, 2), known(0.1, 1, 0), known(STEADY_SECONDS, 1, 0)] == [False, False, True]
