"""The long way of a message that fails."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.handler.context import Context
from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.outcomes.retry import LONGEST_SECONDS
from kafka_worker.outcomes.retry_topics import RetryTopics
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Attempt, Task, age_of, partition_of
from tests.unit.fakes import TOPIC, Message

NOW = 1_700_000_000.0
TOLD = {
    "retry.topic": b"topic", "retry.partition": b"3", "retry.offset": b"42", "retry.timestamp": b"1500",
    "retry.attempt": b"3", "retry.due-at": b"1700000060000", "retry.first-failed-at": b"1699999990000",
}  # fmt: skip


def topics(wall: float = NOW) -> RetryTopics:
    return RetryTopics([TOPIC, "other"], ["10m", "30s", "2h"], lambda: wall)


def task(attempt: int = 1, **given: Any) -> Task:
    """One of the ordinary topic, that has failed."""
    message = Message(42, b"key", b"value", partition=3)
    vars(message).update(given)
    partition = Partition(TOPIC, 3)
    return 42, partition.tracker.take(42)[0], message, None, attempt, partition


def delivered(headers: Mapping[str, Optional[bytes]], wall: float = NOW, now: float = 500.0) -> Any:
    """What a message in a retry topic is taken for: (task, seconds until it is due)."""
    partition = Partition("topic.retry.30s", 1)
    partition.retries_of = TOPIC
    message = Message(7, b"key", b"value", partition=1)
    message.given_headers = list(headers.items())
    ours = topics(wall)
    again = ours.delayed((7, partition.tracker.take(7)[0], message, None, 1, partition), now)
    return again, ours.sleeps(again, now)


def test_each_topic_has_one_for_each_delay_and_knows_its_origin() -> None:
    assert set(topics()) == {f"{topic}.retry.{delay}" for topic in (TOPIC, "other") for delay in ("30s", "10m", "2h")}
    assert topics().retries_of("other.retry.10m") == "other"
    assert topics().retries_of("foreign.retry.10m") == ""
    assert topics().retries_of(TOPIC) == ""


@pytest.mark.parametrize(
    ("delay", "topic"),
    [
        (29.9, None),
        (30.0, "topic.retry.30s"),
        (599.0, "topic.retry.30s"),
        (600.0, "topic.retry.10m"),
        (1e6, "topic.retry.2h"),
    ],
)
def test_a_wait_is_spent_in_the_topic_of_the_longest_delay_that_is_not_longer(delay: float, topic: Optional[str]) -> None:
    record = topics().record(task(), delay, 0.0)

    assert (record and record.topic) == topic


def test_without_delays_no_wait_is_long() -> None:
    assert RetryTopics([TOPIC], [], lambda: 0.0).record(task(), 1e6, 0.0) is None


def test_the_record_is_the_message_with_what_must_not_be_forgotten() -> None:
    forged = [("theirs", b"1"), ("retry.attempt", b"forged"), ("retry.other", b"theirs too")]

    record = topics().record(task(attempt=2, given_headers=forged), 60.0, 10.0)

    assert record == OutgoingRecord(
        "topic.retry.30s",
        b"key",
        b"value",
        [("theirs", b"1"), ("retry.other", b"theirs too"), *TOLD.items()],
        0,  # of now: retention must not count from when it was produced first
    )


def test_what_comes_back_is_what_went_out_and_waits_until_it_is_due() -> None:
    sent = topics().record(task(attempt=2, given_headers=[("theirs", b"1")]), 60.0, 10.0)
    assert sent is not None

    (offset, _, message, lane, attempt, partition), wait = delivered(dict(sent.headers), wall=NOW + 20)  # type: ignore[arg-type]

    context = Context(message, partition, attempt)
    assert (context.topic, context.partition, context.offset, context.attempt) == (TOPIC, 3, 42, 3)
    assert (context.key, context.headers, context.timestamp, message.value()) == (b"key", [("theirs", b"1")], 1.5, b"value")
    assert (offset, partition.topic, lane) == (7, "topic.retry.30s", None)
    assert wait == pytest.approx(40.0)
    assert age_of(attempt, 500.0) == pytest.approx(30.0)


def test_what_is_overdue_runs_at_once() -> None:
    assert delivered(TOLD, wall=NOW + 3600)[1] == 0.0


def test_a_second_failure_goes_on_from_where_the_message_began() -> None:
    again, _ = delivered(TOLD)

    record = topics().record(again, 700.0, 100.0)

    assert record is not None
    assert record.topic == "topic.retry.10m"
    told = dict(record.headers)
    assert (told["retry.partition"], told["retry.offset"], told["retry.attempt"]) == (b"3", b"42", b"4")
    assert len(record.headers) == len(TOLD)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry.topic": b"elsewhere"}, {"retry.attempt": None}, {"retry.due-at": b"soon"}, {"retry.due-at": b"9" * 19},
        {"retry.timestamp": b"9" * 19},
        {"retry.offset": b"-1"}, {"retry.first-failed-at": "\u0663".encode()},
    ],
)  # fmt: skip
def test_what_is_not_from_us_is_a_first_attempt_now(wrong: Dict[str, Optional[bytes]]) -> None:
    (_, _, message, _, attempt, partition), wait = delivered({**TOLD, **wrong})

    context = Context(message, partition, attempt)
    assert (context.topic, context.partition, context.offset, context.attempt, wait) == (TOPIC, 1, 7, 1, 0.0)
    assert not isinstance(attempt, Attempt)


@pytest.mark.parametrize("timestamp", [1_795_766_400_000_000_000, (1 << 63) - 1], ids=["nanoseconds", "latest"])
def test_a_message_with_the_latest_of_times_is_still_that_message(timestamp: int) -> None:
    sent = topics().record(task(attempt=2, given_timestamp=(1, timestamp)), 60.0, 0.0)
    assert sent is not None

    (_, _, message, _, attempt, partition), _ = delivered(dict(sent.headers))  # type: ignore[arg-type]

    context = Context(message, partition, attempt)
    assert (context.topic, context.partition, context.offset, context.attempt) == (TOPIC, 3, 42, 3)
    assert message.timestamp() == (1, timestamp)


def test_a_message_without_headers_and_time_is_no_fault() -> None:
    record = topics().record(task(given_timestamp=(0, -1)), 60.0, 0.0)

    assert record is not None
    (_, _, message, _, attempt, partition), _ = delivered({**TOLD, "retry.timestamp": dict(record.headers)["retry.timestamp"]})  # type: ignore[dict-item]
    assert Context(message, partition, attempt).timestamp is None
    assert delivered({})[1] == 0.0


values = st.one_of(
    st.none(),
    st.binary(max_size=25),
    st.integers(-(10**30), 10**30).map(lambda number: b"%d" % number),
    st.sampled_from([b"9" * 18, b"9" * 19, b"9" * 5000, b"topic"]),
)


@given(
    st.lists(st.tuples(st.sampled_from([*TOLD, "theirs"]), values), max_size=10),
    st.sampled_from([{}, TOLD]),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_whatever_stands_in_a_retry_topic_runs_some_time_and_can_be_sent_on(
    headers: List[Tuple[str, Optional[bytes]]], ours: Dict[str, Optional[bytes]], timestamp: int
) -> None:
    partition = Partition("topic.retry.30s", 1)
    partition.retries_of = TOPIC
    message = Message(7, b"key", b"value", partition=1)
    message.given_headers, message.given_timestamp = [*ours.items(), *headers], (1, timestamp)
    again = topics().delayed((7, partition.tracker.take(7)[0], message, None, 1, partition), 500.0)

    assert 0.0 <= topics().sleeps(again, 500.0) <= LONGEST_SECONDS
    _, _, delayed, _, attempt, _ = again
    context = Context(delayed, partition, attempt)
    assert (context.topic, context.attempt >= 1) == (TOPIC, True)
    assert [name for name, _ in context.headers] == ["theirs"] * len(context.headers)
    assert 0 <= age_of(attempt, 500.0) < float("inf")
    record = topics().record(again, 60.0, age_of(attempt, 500.0))
    assert record is not None
    numbers = [bytes(value) for name, value in record.headers if name in TOLD and name != "retry.topic"]  # type: ignore[arg-type]
    assert all(0 <= int(number) < 1 << 63 for number in numbers)


def told(wait: float) -> Dict[str, Optional[bytes]]:
    """Of a message that is due in so many seconds."""
    return {**TOLD, "retry.due-at": b"%d" % round(1000 * (NOW + wait))}


@pytest.mark.parametrize(
    ("wait", "paused", "held", "topic"),
    [
        (86400.0, True, "", "topic.retry.2h"),
        (600.0, True, "", "topic.retry.10m"),
        (31.0, True, "", "topic.retry.30s"),
        (29.0, True, "", None),
        (86400.0, False, "", None),
        (86400.0, True, "a retry can't be stored", None),
    ],
)
def test_what_sleeps_long_and_stands_in_the_way_of_others_goes_to_the_end(
    wait: float, paused: bool, held: str, topic: Optional[str]
) -> None:
    sleeper, left = delivered(told(wait))
    partition = partition_of(sleeper)
    partition.flow.paused, partition.flow.held = paused, held

    record = topics().lap(sleeper, 500.0)

    assert left == wait
    assert topics().nap(sleeper, wait) == min(wait, 30.0)
    assert (record and record.topic) == topic
    assert record is None or {**TOLD, **dict(record.headers)} == told(wait)
