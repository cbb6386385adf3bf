"""Which tasks may start."""

from __future__ import annotations

import logging
import math
import ssl
from typing import Any

import pytest

from kafka_worker.gates.breakers import Breakers
from kafka_worker.gates.gates import COUNT_SECONDS
from kafka_worker.handler.batch import Alone
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.dependencies import Dependencies
from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset
from kafka_worker.partitions.task import mark_open, with_attempt
from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import UndecodableError
from kafka_worker.shared.foreign.exceptions import as_data, copied, rebuilt
from tests.unit.fakes import TOPIC, Message, some_settings
from tests.unit.gates.bench import NOBODYS, OPEN_SECONDS, PROBES, Bench, offsets


def test_usually_the_pool_takes_from_the_partitions_queues_themselves() -> None:
    bench = Bench()

    assert bench.queues == [bench.partitions[0].queue]
    assert not bench.turn()


def test_nothing_of_a_handler_is_started_while_its_breaker_is_open_and_of_others_everything() -> None:
    bench = Bench("a", "b").until_open()

    assert bench.queues == [bench.partitions[1].queue]
    assert [bench.gates.why(partition) for partition in bench.partitions] == ["the circuit breaker of a is open", ""]
    bench.turn(OPEN_SECONDS - 1)
    assert bench.queues == [bench.partitions[1].queue]


def test_a_topic_that_no_handler_is_meant_for_is_held_so_that_none_of_its_messages_uses_up_its_attempts() -> None:
    bench = Bench(NOBODYS, "b")

    bench.turn(OPEN_SECONDS)

    assert bench.queues == [bench.partitions[1].queue]
    held, other = [bench.gates.why(partition) for partition in bench.partitions]
    assert "no entry of HANDLERS is meant for this topic" in held
    assert other == ""
    assert [report.name for report in bench.gates.reports(bench.now)] == ["b", "dead letters"]
    bench.partitions[0].closing.close(None)
    bench.turn()
    assert bench.partitions[0].closing.abandoned_from == 0  # a stop does not wait for it


def test_a_failure_while_open_keeps_its_attempt_and_comes_again_when_it_is_closed() -> None:
    bench = Bench(tasks=5)
    running = bench.taken(5)
    bench.fail(*running[:4])
    bench.turn()

    assert bench.fail(running[4]) == [True]
    bench.turn(OPEN_SECONDS)
    bench.succeed(*bench.taken())
    bench.turn()

    assert bench.partitions[0].tracker.in_flight == 3  # the first three failed before, and are tried again as usual
    assert running[4][4] == 1


def test_of_what_fails_while_open_the_log_has_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(tasks=9)
    running = bench.taken(9)
    for task in running[:8]:
        bench.fail(task)
        bench.turn()
    bench.turn(31.0)

    bench.fail(running[8])

    told = [record.getMessage() for record in caplog.records if "which does not count" in record.getMessage()]
    assert [text.endswith(" (4 more like this in between)") for text in told] == [False, True]


def test_probes_are_counted_and_the_next_one_waits_for_the_outcome_of_one_before() -> None:
    bench = Bench().until_half_open()

    first = bench.taken()
    assert offsets(first) == [4, 5]
    bench.turn()
    assert bench.taken() == []
    bench.fail(first[0], error=Reject())  # says nothing of the handler
    bench.turn()
    assert offsets(bench.taken()) == [6]


def test_probes_that_are_given_back_may_be_taken_again() -> None:
    bench = Bench().until_half_open()
    probes = bench.taken()
    bench.gates.give_back(probes)
    for task in probes:
        bench.partitions[0].queue.put(task)

    bench.turn()

    assert [task[0] for task in bench.taken()] == [task[0] for task in probes]


def test_when_all_probes_are_done_everything_goes_on() -> None:
    bench = Bench().until_half_open()

    bench.succeed(*bench.taken())

    assert bench.turn() or bench.queues == [bench.partitions[0].queue]
    assert offsets(bench.taken()) == [3, *range(6, 20)]  # what was set aside is in its place


def test_a_probe_that_fails_holds_everything_again_and_others_are_the_next_probes() -> None:
    bench = Bench().until_half_open()
    first = bench.taken()

    assert bench.fail(*first) == [True, True]
    bench.turn()
    assert bench.queues == []
    bench.turn(OPEN_SECONDS)
    assert offsets(bench.taken()) == [6, 7]


def test_with_nothing_else_to_try_what_failed_longest_ago_is_tried_again() -> None:
    bench = Bench(tasks=6).until_half_open()
    bench.fail(*bench.taken())
    bench.turn(OPEN_SECONDS)
    bench.turn(OPEN_SECONDS)

    assert offsets(bench.taken()) == [3, 4]


def test_a_message_that_fails_again_after_another_succeeded_is_to_blame_itself() -> None:
    bench = Bench(breaker_probes=3).until_half_open()
    good, first, _ = bench.taken()
    bench.succeed(good)

    (again,) = bench.taken(1)  # it was set aside when the breaker opened

    assert offsets([again]) == [3]
    assert bench.fail(first, again) == [True, False]
    assert "half-open" in bench.gates.why(bench.partitions[0])


def test_what_failed_in_the_outage_comes_back_one_for_each_that_succeeds_unless_nothing_else_waits() -> None:
    bench = Bench(tasks=30)
    running = bench.taken(20)
    bench.fail(*running)  # the last sixteen are set aside
    bench.turn()
    bench.turn(OPEN_SECONDS)
    bench.succeed(*bench.taken(PROBES))

    assert offsets(bench.taken()) == [3, 4, *range(20 + PROBES, 30)]
    bench.turn()
    assert len(bench.taken()) == 20 - 4 + 1 - 2


def test_what_is_due_again_while_its_handler_is_held_up_is_no_probe_as_long_as_there_are_others() -> None:
    bench = Bench().until_half_open()
    again = with_attempt(bench.taken(1)[0], 2)

    assert bench.gates.set_aside(again)
    assert offsets(bench.taken()) == [5]
    free = Bench()
    assert not free.gates.set_aside(free.taken(1)[0])


def test_a_task_that_was_running_when_it_opened_is_no_probe() -> None:
    bench = Bench()
    late = bench.taken(1)
    bench.until_half_open()

    assert bench.fail(*late) == [True]
    bench.turn()
    assert len(bench.taken()) == PROBES


@pytest.mark.parametrize("error", [Reject(), Retry(), UndecodableError()])
def test_what_speaks_of_the_message_alone_opens_no_breaker(error: BaseException) -> None:
    bench = Bench(dead_letter_storm_share=0.0)

    assert not any(bench.fail(*bench.taken(), error=error))
    bench.turn()
    assert len(bench.queues) == 1


class JsonError(OSError, ValueError):
    """As that of requests, which is a ValueError, too."""


class OwnError(Exception):
    """Nobody can know what it means."""


class OwnValueError(ValueError):
    """This one says it."""


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "ignored", "counts"),
    [
        (UnicodeDecodeError("utf-8", b"", 0, 1, "no"), None, False),
        (KeyError("id"), None, False),
        (ZeroDivisionError(), None, False),
        (OwnValueError(), None, False),
        (TypeError(), (), True),
        (OwnError(), None, True),
        (OwnError(), ("OwnError",), False),
        (TimeoutError(), None, True),
        (JsonError(), None, True),
        (JsonError(), ("JsonError",), False),
        (JsonError(), ("OSError",), False),
        (ssl.SSLCertVerificationError(), None, True),
        (caused(ValueError("no price"), ConnectionError("refused")), None, True),
        (caused(ValueError("no price"), KeyError("price")), None, False),
        (rebuilt(as_data(KeyError("id"))), None, False),
        (rebuilt(as_data(JsonError())), None, True),
    ],
)
def test_errors_of_data_do_not_count_and_those_of_input_and_output_do(error: Any, ignored: Any, counts: bool) -> None:
    bench = Bench(dead_letter_storm_share=0.0, **({} if ignored is None else {"breaker_ignored_errors": ignored}))

    bench.fail(*bench.taken(4), error=error)

    assert [report.calls for report in bench.gates.reports(bench.now)] == [0 if not counts else 4]


def test_what_is_done_counts_before_what_failed_since() -> None:
    bench = Bench()
    bench.turn(COUNT_SECONDS)
    bench.pool.threads[0].done_of[TOPIC] = 5
    bench.now += COUNT_SECONDS / 10

    assert bench.fail(*bench.taken(3)) == [False] * 3
    assert bench.gates.reports(bench.now)[0].calls == 8


def test_what_is_done_of_retry_topics_and_apart_counts_like_what_fails_there() -> None:
    bench = Bench(TOPIC + ".retry.30s", tasks=40)
    (partition,) = bench.partitions
    partition.retries_of = partition.queue.topic = TOPIC
    bench.turn(COUNT_SECONDS)
    bench.pool.threads[0].done_of[TOPIC] = 15
    bench.apart.done_of[TOPIC] = 5
    bench.now += COUNT_SECONDS / 10

    assert bench.fail(*bench.taken(3)) == [False] * 3
    assert [(each.state, each.calls) for each in bench.gates.reports(bench.now) if each.name == TOPIC] == [("closed", 23)]


def test_probes_of_a_partition_that_goes_away_make_room_for_others() -> None:
    bench = Bench("a").until_half_open()
    bench.taken()
    bench.partitions[0].closing.forget()
    again = Partition("a", 0)
    segment, _ = again.tracker.take(0, 5)
    again.queue.extend([(offset, segment, Message(offset), None, 1, again) for offset in range(5)])
    bench.partitions = [again]

    bench.turn()

    assert len(bench.taken()) == PROBES


def test_a_probe_that_goes_back_into_its_queue_is_let_through_again() -> None:
    """As those of a batch do that has failed as a whole: each is called alone then."""
    bench = Bench().until_half_open()
    for task in bench.taken():
        mark_open(task)
        bench.partitions[0].queue.put(Alone(task))
    bench.turn()
    bench.turn()

    alone = bench.taken()
    assert offsets(alone) == [4, 5]
    assert bench.fail(*alone) == [True, True]
    bench.turn()
    assert bench.queues == []


def test_a_probe_whose_results_are_still_to_be_stored_counts_when_they_are() -> None:
    bench = Bench().until_half_open()
    first = bench.taken()
    for task in first:
        mark_open(task)
    bench.turn()
    bench.turn()

    assert len(bench.taken()) == PROBES
    bench.succeed(*first)
    bench.turn()
    assert bench.queues == [bench.partitions[0].queue]


def test_a_probe_whose_results_are_stored_with_all_below_them_only_counts_when_its_call_has_returned() -> None:
    """In a transaction: what is below it may have failed before, and waits for probes that succeed."""
    bench = Bench().until_half_open()
    first = bench.taken()
    for task in first:
        mark_open(task)
    bench.gates.answered(first)
    bench.gates.answered(first)  # by whatever else they return

    bench.turn()

    assert bench.queues == [bench.partitions[0].queue]


def test_a_closed_partition_that_is_held_is_not_waited_for() -> None:
    bench = Bench().until_half_open()
    (partition,) = bench.partitions
    last, _ = bench.taken()
    last[1].complete(19)
    partition.closing.close(None)

    bench.turn()

    assert bench.queues == []
    assert partition.closing.settled(-1)


@pytest.mark.parametrize("kind", [InOrderOfOffset, FirstComeFirstServed])
def test_what_was_set_aside_comes_back_in_order(kind: Any) -> None:
    bench = Bench(tasks=8, kind=kind)
    bench.fail(*bench.taken(6))
    bench.turn()
    bench.turn(OPEN_SECONDS)
    bench.succeed(*bench.taken(PROBES))
    bench.turn()

    assert offsets(bench.taken()) == [3, 4, 5]


def test_too_many_dead_letters_hold_everything_and_one_a_round_gets_through() -> None:
    bench = Bench("a", "b", dead_letter_storm_messages=10)
    doomed = bench.taken(8)

    assert bench.fail(*doomed, error=Reject(), last=True) == [False] * 4 + [True] * 4
    bench.turn()
    assert bench.queues == []
    bench.turn(OPEN_SECONDS)
    assert bench.fail(*bench.taken(PROBES), error=Reject(), last=True) == [False, True]
    bench.turn()
    assert bench.queues == []
    assert bench.gates.reports(bench.now)[-1].name == "dead letters"


def test_no_breakers_no_holding() -> None:
    bench = Bench(breaker_failure_share=0.0, dead_letter_storm_share=0.0)

    assert not any(bench.fail(*bench.taken(), last=True))
    assert bench.gates.reports(0.0) == []


# ---- the rate limit ----


def test_with_a_rate_limit_each_start_costs_a_token() -> None:
    bench = Bench("a", "b", max_messages_per_second=10.0)

    assert bench.taken() == []
    bench.turn(0.1)
    assert len(bench.taken()) == 1
    bench.turn(0.1)
    bench.turn(0.1)
    assert len(bench.taken()) == 2


def test_each_process_has_its_share_of_the_rate() -> None:
    bench = Bench(max_messages_per_second=100.0, processes=4)

    bench.turn(0.2)

    assert len(bench.taken()) == 5


def test_topics_with_settings_of_their_own_have_a_breaker_of_their_own_though_they_share_a_handler() -> None:
    own = {"^b": {"breaker_min_calls": 2, "breaker_ignored_errors": ()}, "off": {"breaker_failure_share": 0.0}}
    breakers = Breakers(some_settings(breaker_min_calls=3, topic_tables=own), Dependencies(), lambda _topic: "m:f")
    names = [breakers.handler_of(topic) for topic in ("a", "b1", "b2", "off")]

    for name in names:
        for now in (1.0, 2.0):
            breakers.excuse(name, copied(ValueError("no")), now, before=math.inf, probe=False, last=False)

    assert names == ["m:f", "m:f (^b)", "m:f (^b)", "m:f (off)"]
    assert [breakers.closed_for(name) for name in names] == [True, False, False, True]
    assert [report.name for report in breakers.reports(2.0)] == ["m:f", "m:f (^b)", "dead letters"]
