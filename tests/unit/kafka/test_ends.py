"""Where partitions end is asked one question at a time, and told as it was answered last."""

from __future__ import annotations

from concurrent import futures
from typing import Any, Dict, List, Tuple
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka import ends as module
from kafka_worker.kafka.ends import AGAIN_SECONDS, LEVELS, SELDOM_SECONDS, Asker, End, Ends
from tests.unit.fakes import TOPIC

OURS = (TOPIC, 0)
Told = Dict[Tuple[str, int], End]


class Desk:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: List[futures.Future[Told]] = []
        self.names: List[List[Tuple[str, int]]] = []

    def ask(self, names: List[Tuple[str, int]]) -> futures.Future[Told]:
        self.names.append(names)
        self.asked.append(futures.Future())
        return self.asked[-1]


def test_the_first_open_transaction_and_the_end_are_told_when_they_are_known() -> None:
    desk = Desk()
    ends = Ends(desk.ask)

    before = [ends.of([OURS], 0.0), ends.of([OURS], 1.0)]
    desk.asked[0].set_result({OURS: End(5, 9, "")})

    assert before == [{}, {}]
    assert ends.of([OURS], 2.0) == {OURS: End(5, 9, "")}
    assert len(desk.asked) == 1, "one question at a time, and none at once again"


def test_it_is_asked_again_later_and_the_last_answer_stays_until_a_problem_is_told_twice_in_a_row() -> None:
    """A broker that has just come back refuses the first question, or does not answer it."""
    desk = Desk()
    ends = Ends(desk.ask)
    known, none = End(9, 9, ""), End(-1, -1, "no leader")
    told = []
    for round_, answer in enumerate((known, none, known, none, none)):
        now = round_ * (AGAIN_SECONDS + 2.0)
        told.append(ends.of([OURS], now).get(OURS))
        desk.asked[round_].set_result({OURS: answer})
        told.append(ends.of([OURS], now + 1.0)[OURS])

    assert told == [None, known, known, known, known, known, known, known, known, none]
    assert ends.of([], now + 2.0 + AGAIN_SECONDS) == {}
    ends.of([OURS], now + 3.0 + AGAIN_SECONDS)
    desk.asked[-1].set_result({OURS: none})
    assert ends.of([OURS], now + 4.0 + AGAIN_SECONDS) == {}, "it was not asked about in between"


def test_where_no_end_at_all_is_told_it_is_known_that_no_broker_may_answer() -> None:
    desk = Desk()
    ends = Ends(desk.ask)
    none, known, said = End(-1, -1, "no answer"), End(9, 9, ""), []
    for round_, theirs in enumerate((none, known)):
        now = round_ * (AGAIN_SECONDS + 2.0)
        ends.of([OURS, (TOPIC, 1)], now)
        desk.asked[round_].set_result({OURS: none, (TOPIC, 1): theirs})
        ends.of([OURS, (TOPIC, 1)], now + 1.0)
        said.append(ends.unanswered)

    assert said == [True, False]


def test_what_there_is_no_haste_about_is_asked_with_the_rest_and_by_itself_but_seldom() -> None:
    desk = Desk()
    ends = Ends(desk.ask)
    theirs = (TOPIC, 1)
    for second in range(int(2 * SELDOM_SECONDS) + 1):
        ends.of([OURS] if second < SELDOM_SECONDS else [], float(second), [theirs])
        for asked in desk.asked[-1:]:
            if not asked.done():
                asked.set_result({})

    assert [names.count(theirs) for names in desk.names] == [1, 0, 0, 1]
    assert [names.count(OURS) for names in desk.names] == [1, 1, 1, 0]


def test_a_client_that_can_not_be_made_is_a_problem_of_each_partition() -> None:
    told = Asker({"group.id": "group", "no.such.property": "1"})([OURS]).result(10)

    assert "no.such.property" in told[OURS].problem


def test_an_end_for_which_there_is_no_thread_to_ask_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.Thread.start", Mock(side_effect=RuntimeError("can't start new thread")))

    told = Asker({})([(TOPIC, 0)]).result(timeout=5)

    assert told == {(TOPIC, 0): End(-1, -1, "no thread can be started to ask for it")}


def test_clients_that_were_told_no_end_are_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one knows may be of a broker as it was before it was away, and stay so."""
    made: List[object] = []

    class Client:
        def __init__(self, _properties: Dict[str, Any]) -> None:
            made.append(self)
            self.knows = len(made) > len(LEVELS)

        def get_watermark_offsets(self, _place: object, timeout: float) -> Tuple[int, int]:
            if not self.knows:
                raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
            return 2, 7

    monkeypatch.setattr(module, "Consumer", Client)
    asker = Asker({})
    told = [asker([OURS]).result(10)[OURS] for _ in range(3)]

    known = (2, 7, False)
    assert [(end.first, end.latest, bool(end.problem)) for end in told] == [(-1, -1, True), known, known]
    assert len(made) == 2 * len(LEVELS)


def test_while_a_problem_lasts_clients_are_replaced_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[object] = []

    class Silent:
        def __init__(self, _properties: Dict[str, Any]) -> None:
            made.append(self)

        def get_watermark_offsets(self, _place: object, timeout: float) -> Tuple[int, int]:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))

    monkeypatch.setattr(module, "Consumer", Silent)
    seconds = [0.0]
    asker = Asker({}, lambda: seconds[0])
    pairs = []
    for seconds[0] in range(0, 125, 5):
        asker([OURS]).result(10)
        pairs.append(len(made) // len(LEVELS))

    assert pairs[:8] == [1, 2, 3, 3, 3, 4, 4, 4]
    assert pairs[-1] == 8, "one each 20 s in the end, in place of 5"
