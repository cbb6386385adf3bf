"""What a dead letter looks like."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes.dead_letters import DeadLetters
from kafka_worker.partitions.task import Attempt
from kafka_worker.shared.output.last_words import HEAD, TAIL
from tests.unit.kafka.outgoing.desk import Desk

NOW = 1_700_000_000.25  # 2023-11-14T22:13:20.250 UTC


class Office(Desk):
    """A desk for dead letters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        member = Member("host-a", 5)
        self.dead_letters = DeadLetters(
            self.outbox, ".dlq", "group", member, lambda task, _reason: self.stored.append(task), lambda: NOW
        )

    def sent(self, error: BaseException, age: float = 0.0, attempt: int = 3, **given: Any) -> Dict[str, Any]:
        """The letter about a message that is as given."""
        self.dead_letters.send(self.task(attempt=attempt, **given), error, age)
        return self.letters[-1]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(monkeypatch)


def raised(text: str = "why") -> ValueError:
    """An error that really was raised, here."""
    with pytest.raises(ValueError, match=text[:10]) as caught:
        raise ValueError(text)
    return caught.value


def values(letter: Dict[str, Any]) -> Dict[str, bytes]:
    return {name.replace("dead-letter.", ""): value for name, value in letter["headers"]}


def test_a_letter_has_the_bytes_key_headers_and_time_of_its_message_and_says_why(desk: Office) -> None:
    letter = desk.sent(raised(), age=12.5, attempt=Attempt(3, 0.0), given_headers=[("theirs", None)])

    assert (letter["topic"], letter["key"], letter["value"], letter["timestamp"]) == ("topic.dlq", b"key", b"value", 1500)
    assert letter["headers"][0] == ("theirs", None)
    ours = values(letter)
    assert b"in raised" in ours.pop("traceback")
    assert list(ours.items())[1:] == [
        ("topic", b"topic"),
        ("partition", b"0"),
        ("offset", b"7"),
        ("timestamp", b"1500"),
        ("group", b"group"),
        ("error", b"ValueError: why"),
        ("error-class", b"builtins.ValueError"),
        ("error-message", b"why"),
        ("attempts", b"3"),
        ("first-failed-at", b"2023-11-14T22:13:07.750+00:00"),
        ("last-failed-at", b"2023-11-14T22:13:20.250+00:00"),
        ("host", b"host-a"),
        ("slot", b"5"),
    ]


def test_a_letter_is_counted_and_its_task_done_when_it_is_stored(desk: Office) -> None:
    desk.sent(ValueError())
    before = (list(desk.stored), desk.dead_letters.count)

    desk.answer()

    assert before == ([], 0)
    assert ([task[0] for task in desk.stored], desk.dead_letters.count) == ([7], 1)


def test_forged_headers_are_dropped_and_others_kept_in_order(desk: Office) -> None:
    forged = [("a", b"1"), ("dead-letter.error", b"forged"), ("dead-letter.other", b"forged"), ("a", b"2")]

    headers = desk.sent(ValueError("why"), given_headers=forged)["headers"]

    assert headers[:2] == [("a", b"1"), ("a", b"2")]
    assert b"forged" not in [value for _, value in headers]


@pytest.mark.parametrize(
    ("count", "kept"), [(b"2", True), (b"999", True), (b"1000", False), (b"", False), (b"-1", False), (None, False)]
)
def test_the_count_of_replays_goes_along_when_it_is_one(desk: Office, count: Optional[bytes], kept: bool) -> None:
    given = ("dead-letter.replays", count)

    assert (given in desk.sent(ValueError(), given_headers=[given])["headers"]) is kept


def test_a_message_with_a_header_that_the_client_cant_read_becomes_a_letter_without_it(desk: Office) -> None:
    names = [name for name, _ in desk.sent(ValueError(), broken=True)["headers"]]

    assert names[:2] == ["headers-lost", "dead-letter.topic"]


def test_an_error_whose_text_raises_goes_out_all_the_same(desk: Office) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise LookupError

    assert values(desk.sent(MuteError()))["error"] == b"MuteError: (its text raised LookupError)"


def test_an_error_that_stands_for_one_of_another_process_is_called_by_that_ones_name(desk: Office) -> None:
    error = RuntimeError("out of stock")
    error.names = ("shop.errors.StockError", "builtins.Exception")  # type: ignore[attr-defined]

    ours = values(desk.sent(error))

    assert (ours["error"], ours["error-class"]) == (b"StockError: out of stock", b"shop.errors.StockError")


@pytest.mark.parametrize(("text", "length"), [("x" * 5000, 1012), ("\ud800", 13)])
def test_any_error_text_becomes_a_header_of_bounded_length(desk: Office, text: str, length: int) -> None:
    assert len(values(desk.sent(ValueError(text)))["error"]) == length


def test_of_a_long_text_neither_the_place_nor_the_end_is_lost(desk: Office) -> None:
    letter = values(desk.sent(raised("x" * 5_000_000 + "the very end")))

    assert max(map(len, letter.values())) <= 4000
    assert letter["traceback"].startswith(b"Traceback (most recent call last):\n")
    assert letter["traceback"].endswith(b"the very end\n")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["dead-letter.replays", "dead-letter.resolved", "dead-letter.topic", "theirs", ""]),
            st.one_of(st.none(), st.binary(max_size=12), st.integers(-10, 10**6).map(lambda number: b"%d" % number)),
        ),
        max_size=6,
    ),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.text(max_size=30),
)
def test_any_message_becomes_a_letter_that_says_nothing_in_our_name_but_what_we_know(
    headers: List[Tuple[str, Optional[bytes]]], timestamp: int, text: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        letter = Office(patch).sent(ValueError(text), given_headers=headers, given_timestamp=(1, timestamp))

    ours = [(name, value) for name, value in letter["headers"] if name.startswith("dead-letter.")]
    claims = [value for name, value in ours if name == "dead-letter.replays"]
    assert all(value.isdigit() and len(value) <= 3 for value in claims)
    assert len(ours) - len(claims) == 14
    assert dict(ours)["dead-letter.topic"] == b"topic"
    assert 0 <= letter["timestamp"] == int(dict(ours)["dead-letter.timestamp"])
    assert "dead-letter.resolved" not in dict(ours)


def test_a_message_without_time_makes_a_letter_without_a_negative_time(desk: Office) -> None:
    assert desk.sent(ValueError(), given_timestamp=(0, -1))["timestamp"] == 0


def test_the_largest_letter_has_no_more_headers_than_the_documentation_says(desk: Office) -> None:
    wide = "\U0001f4a9"  # four bytes
    error = TaskDiedError("killed after 1000000.0 s", 1 << 60, wide * (HEAD + TAIL))
    error.args = (wide * 9000,)
    error.names = (wide * 200 + "." + wide * 200, "builtins.Exception")  # type: ignore[attr-defined]

    headers = desk.sent(error)["headers"]

    assert sum(len(name) + len(value) for name, value in headers) + 700 < 60_000  # and the longest topic, group and host
