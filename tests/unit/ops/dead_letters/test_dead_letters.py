"""What a record of a dead-letter topic says, which letters are meant, and how they are shown."""

from __future__ import annotations

import io
import json
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.ops.dead_letters import resolve
from kafka_worker.ops.dead_letters.cluster import Stored
from kafka_worker.ops.dead_letters.letter import (
    DeadLetterRecord,
    Letter,
    Resolution,
    selected,
)
from kafka_worker.ops.dead_letters.plan import (
    BATCH_BYTES,
    BATCH_LETTERS,
    Action,
    Summary,
    batches,
    first_open,
    reason_to_skip,
    replayed,
)
from kafka_worker.ops.dead_letters.resolve import Resolver
from kafka_worker.ops.dead_letters.text import as_object, listed, shown
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest
from tests.unit.ops.dead_letters.letters import DLQ, TOPICS, letter, marked, record


def test_a_letter_says_where_it_came_from_and_how_it_failed() -> None:
    found = letter(2)

    assert (found.place, found.partition, found.offset) == ((1, 17), 3, 1234)
    assert (found.failed_at, found.replays, found.error) == (86400.0, 2, "TimeoutError: no answer")
    assert (found.timestamp, letter(timestamp="1500").timestamp) == (5000, 1500)
    assert found.theirs == [("theirs", b"1")]


def test_a_record_that_somebody_else_wrote_is_a_letter_of_unknown_origin() -> None:
    found = Letter.of(
        DeadLetterRecord(DLQ, 0, 1, 5000, None, None, [("dead-letter.offset", None), ("dead-letter.replays", b"many")]),
        "orders",
    )

    assert (found.partition, found.offset, found.replays, found.failed_at) == (-1, -1, 0, 5.0)
    assert found.origin == "orders"


FILTERS: List[Tuple[Dict[str, Any], bool]] = [
    ({}, True),
    ({"error": "timeouterror"}, True),
    ({"error": "no answer"}, True),
    ({"error": "ValueError"}, False),
    ({"key": "k"}, True),
    ({"key": ""}, False),
    ({"since": 86400.0}, True),
    ({"since": 86401.0}, False),
    ({"until": 86400.0}, False),
    ({"until": 86401.0}, True),
    ({"partition": 3}, True),
    ({"partition": 1}, False),  # that is where the letter is, not where it came from
    ({"offset": 1234}, True),
    ({"offset": 17}, False),
    ({"places": ((1, 17),)}, True),
    ({"places": ((1, 18), (0, 17))}, False),
    ({"error": "timeout", "partition": 2}, False),
]


@pytest.mark.parametrize(("filters", "through"), FILTERS)
def test_all_filters_must_let_a_letter_through(filters: Dict[str, Any], through: bool) -> None:
    assert selected(letter(), DeadLetterRequest("list", **filters)) is through


def test_a_key_that_is_no_text_is_found_as_the_list_shows_it() -> None:
    assert selected(letter(key=b"\xff\x1b"), DeadLetterRequest("list", key=r"\xff\x1b"))


def test_a_message_is_replayed_as_it_was_with_one_header_of_ours() -> None:
    made = replayed(letter(1, value=b"\xff", replays="999"), TOPICS)

    assert not isinstance(made, str)
    assert made[:4] == ("orders", 3, b"k", b"\xff")
    assert made.headers == [("theirs", b"1"), ("dead-letter.replays", b"2")]


def test_where_its_partition_is_gone_its_key_leads_it() -> None:
    made = replayed(letter(), {**TOPICS, "orders": [0]})

    assert not isinstance(made, str)
    assert made.partition == -1


def test_it_goes_nowhere_but_to_the_topic_whose_dead_letters_these_are() -> None:
    assert "dead letters are not kept here" in str(replayed(letter(topic="payments"), TOPICS))
    assert "topic orders does not exist" in str(replayed(letter(), {DLQ: [0]}))


def test_a_letter_is_skipped_when_it_is_resolved_or_was_replayed_too_often() -> None:
    done = Resolution((1, 17), "dropped", "", "")
    replay, again = DeadLetterRequest("replay"), DeadLetterRequest("replay", again=True)

    assert reason_to_skip(letter(2), None, replay) == ""
    assert reason_to_skip(letter(3), None, replay) == "replayed 3 times already"
    assert reason_to_skip(letter(3), None, DeadLetterRequest("drop")) == ""
    assert reason_to_skip(letter(), done, replay) == "resolved already"
    assert [reason_to_skip(letter(9), each, again) for each in (None, done)] == ["", ""]


def test_the_account_says_what_was_skipped_and_why() -> None:
    summary = Summary(Action.REPLAYED, dry=False, done=12)
    summary.skipped["replayed 3 times already"] += 3

    assert str(summary) == "replayed 12, skipped 3 (3 replayed 3 times already), failed 0"


class Holds:
    """A scope of one letter."""

    name, partitions, refresh = DLQ, [0], int

    def letters(self) -> List[Any]:
        return [(letter(), None)]


@pytest.fixture
def our_turn(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Nobody else is at work. Which signals were blocked when it was taken, and given back."""
    blocked: List[Any] = []
    noted = lambda: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))  # noqa: E731
    monkeypatch.setattr(resolve, "Turn", lambda *_: SimpleNamespace(begin=noted, passed=bool, end=noted))
    return blocked


def test_nothing_that_a_terminal_sends_comes_between_a_message_and_its_marker_or_keeps_the_turn(our_turn: List[Any]) -> None:
    blocked = our_turn

    class Stores:
        def store(self, records: List[Any]) -> List[Stored]:
            blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            return [Stored("", 3, 99) for _ in records]

    wanted = DeadLetterRequest("replay", all=True)
    failed = Resolver(cast("Any", Stores()), wanted, TOPICS).run([cast("Any", Holds())])

    assert failed == 0
    assert len(blocked) == 4
    for now in blocked:
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT} <= now


@pytest.mark.usefixtures("our_turn")
def test_a_replay_goes_on_to_its_end_also_when_nobody_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: List[Any] = []

    class Refuses:
        def store(self, records: List[Any]) -> List[Stored]:
            stored.extend(records)
            return [Stored("refused") for _ in records]

        def topics(self) -> None:
            pass

    class Holds:
        name, partitions, refresh = DLQ, [0], int

        def letters(self) -> List[Any]:
            return [(letter(offset=number), None) for number in (1, 2)]

    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setattr("kafka_worker.ops.dead_letters.resolve.batches", lambda letters: ([each] for each in letters))

    failed = Resolver(cast("Any", Refuses()), DeadLetterRequest("replay", all=True), TOPICS).run([cast("Any", Holds())])

    assert failed == 2
    assert len(stored) == 2


def test_who_has_slept_gives_his_turn_up_before_the_next_letter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Sleeps:
        def store(self, records: List[Any]) -> List[Stored]:
            return [Stored("", 0, 99) for _ in records]

        def recent(self, *_: Any) -> Tuple[int, int]:
            return (99, 100)

        def read(self, *_: Any) -> List[Any]:
            monkeypatch.setattr(time, "time", lambda: 1e10)
            return []

    failed = Resolver(cast("Any", Sleeps()), DeadLetterRequest("replay", all=True), TOPICS).run([cast("Any", Holds())])

    assert failed == 1
    told = "".join(capsys.readouterr())
    assert "given up, because this was held up" in told and "replayed 0" in told


def test_ctrl_c_while_the_turn_is_taken_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said: List[str] = []
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    begin = lambda: signal.raise_signal(signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(resolve, "Turn", lambda *_: SimpleNamespace(begin=begin, passed=bool, end=lambda: said.append("done")))
    try:
        with pytest.raises(KeyboardInterrupt):
            Resolver(cast("Any", None), DeadLetterRequest("drop", all=True), TOPICS).run([cast("Any", Holds())])
    finally:
        signal.signal(signal.SIGINT, former)

    assert said == ["done"]


def test_who_is_refused_the_turn_frees_nothing_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What says that another is at work may be all that is left in its partition."""
    monkeypatch.setattr(resolve, "Turn", lambda *_: SimpleNamespace(begin=lambda: "bob is at it", end=int))
    cluster = SimpleNamespace(topics=dict)  # it can't free anything
    wanted = DeadLetterRequest("drop", all=True, purge=True)

    assert Resolver(cast("Any", cluster), wanted, TOPICS).run([cast("Any", Holds())]) == 1
    assert f"{DLQ}: bob is at it" in capsys.readouterr().err


def test_space_is_free_up_to_the_first_letter_that_is_open() -> None:
    records = [record(10), record(11), marked((1, 10), at=12), record(13), record(5, partition=0)]

    assert first_open(records, {(1, 10)}, {0: (5, 6), 1: (10, 14), 2: (0, 0)}) == {0: 5, 1: 11, 2: 0}
    assert first_open(records, {(1, 10), (1, 11), (1, 13)}, {0: (5, 6), 1: (10, 14)}) == {0: 5, 1: 14}


def test_a_dry_run_shows_nothing_of_strangers_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    class Holds:
        name, suffix = DLQ, ".dlq"

        def letters(self) -> List[Any]:
            return [(letter(topic="\x1b]0;evil\x07orders"), None)]

    wanted = DeadLetterRequest("drop", all=True, dry_run=True)
    Resolver(cast("Any", None), wanted, TOPICS).run([cast("Any", Holds())])

    assert r"would be dropped, from \x1b]0;evil\x07orders[3]@1234" in capsys.readouterr().out


def test_batches_are_neither_too_many_letters_nor_too_many_bytes() -> None:
    many = [letter()] * (2 * BATCH_LETTERS + 1)
    large = [letter(value=bytes(BATCH_BYTES // 2))] * 5

    assert [len(batch) for batch in batches(many)] == [BATCH_LETTERS, BATCH_LETTERS, 1]
    assert [len(batch) for batch in batches(large)] == [2, 2, 1]
    assert list(batches([])) == []


def test_a_list_has_one_line_a_letter() -> None:
    lines = listed([(letter(), None), (letter(1, offset=200000, key=None, replays="1"), None)])

    assert lines == [
        "letter    from            failed at             attempts  replays  key  error",
        "1:17      orders[3]@1234  1970-01-02T00:00:00Z  3         0        k    TimeoutError: no answer",
        "1:200000  orders[3]@1234  1970-01-02T00:00:00Z  3         1        -    TimeoutError: no answer",
    ]


def test_json_is_shown_in_lines_and_other_bytes_escaped() -> None:
    pretty = shown(letter(value=b'{"a": [1]}'), None, full=False)
    raw = shown(letter(value=b"\xff\n"), None, full=False)

    assert pretty[-6:] == ["  value, 10 bytes of JSON:", "    {", '      "a": [', "        1", "      ]", "    }"]
    assert raw[-2:] == ["  value, 2 bytes, not JSON:", r"    \xff\n"]


def test_a_long_value_is_cut_with_a_word_about_it_unless_all_is_wanted() -> None:
    long = letter(value=json.dumps(["x" * 3000] * 3).encode(), traceback="line\n" * 2000)

    assert sum("--full shows" in line for line in shown(long, None, full=False)) == 2
    assert max(map(len, shown(long, None, full=False))) < 4100
    assert len(shown(long, None, full=True)) > 2005


def test_the_death_of_a_process_is_shown_with_its_stack() -> None:
    lines = shown(letter(death="SIGSEGV", stack="one\ntwo"), None, full=False)

    assert "  death: SIGSEGV" in lines
    assert lines[lines.index("  stack:") + 1 :][:2] == ["    one", "    two"]


anything = st.one_of(st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=40))
names = st.one_of(
    st.sampled_from(
        ["topic", "error", "attempts", "traceback", "stack", "replays", "timestamp", "resolved", "partition", "last-failed-at"]
    ).map(lambda name: "dead-letter." + name),
    st.text(max_size=10),
)


@given(
    st.one_of(st.none(), anything),
    st.one_of(st.none(), anything, st.recursive(st.text(), st.lists).map(lambda value: json.dumps(value).encode())),
    st.lists(st.tuples(names, st.one_of(st.none(), anything)), max_size=6),
    st.integers(-(1 << 62), 1 << 62),
    st.booleans(),
)
def test_nothing_that_a_stranger_wrote_reaches_the_terminal_as_more_than_characters(
    key: Optional[bytes], value: Optional[bytes], headers: List[Tuple[str, Any]], timestamp: int, full: bool
) -> None:
    strange = Letter.of(DeadLetterRecord(DLQ, 0, 1, timestamp, key, value, headers), "orders")
    done = Resolution((0, 1), "replayed", "now", "\x1b[2J")

    lines = [*listed([(strange, None), (strange, done)]), *shown(strange, done, full=full)]

    assert all(line.isprintable() for line in lines)
    assert replayed(strange, TOPICS)
    assert selected(strange, DeadLetterRequest("list", error="e", key="k", since=0.0, until=1.0, partition=0)) in (True, False)
    assert json.dumps(as_object(strange, done, whole=True)).isascii()
