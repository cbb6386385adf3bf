"""While what handlers need is away, no message pays for it; when it is back, everything is done."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Set, Tuple

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from tests.support.eventually import eventually
from tests.support.messages import Sent, message, messages
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin, Record
    from tests.support.engine import Engine

PARTITIONS, THREADS, MIN_CALLS, PROBES = 4, 4, 20, 3
OPEN_SECONDS, OUTAGE_SECONDS = 0.8, 4.0
SECONDS = 60.0
QUICK = 5.0  # seconds; a stop or a rebalance that waited for what is held would take its whole deadline of 30
BREAKER: Dict[str, Any] = {
    "threads": THREADS, "breaker_min_calls": MIN_CALLS, "breaker_probes": PROBES, "breaker_open_seconds": OPEN_SECONDS,
    "max_attempts": 3, "retry_backoff_seconds": 0.1,
}  # fmt: skip


@pytest.fixture
def outage(tmp_path: Path) -> Path:
    """A file that exists: what handlers need is away."""
    file = tmp_path / "outage"
    file.touch()
    return file


def failing_in(outage: Path, sent: List[Sent], trouble: str = "raise", **more: str) -> List[Sent]:
    """The same messages, in trouble as long as the file exists."""
    return [Sent(e.id, e.key, e.sequence, {**e.payload, "trouble": trouble, "while": str(outage), **more}) for e in sent]


def ids(letters: List[Record]) -> Set[str]:
    return {json.loads(letter.value or b"")["id"] for letter in letters}


def state(engine: Engine, name: str) -> str:
    return next((breaker.state for breaker in engine.loop.report.breakers if breaker.name == name), "")


def test_in_an_outage_no_message_burns_its_attempts_and_afterwards_all_are_done(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    sent = failing_in(outage, messages(400, keys=60))
    admin.produce(name, [each.row for each in sent])

    began = time.monotonic()
    running = engine(name, group, **BREAKER).start()
    eventually(lambda: time.monotonic() - began > OUTAGE_SECONDS, SECONDS, "the outage lasts")
    calls = len(running.ledger.of("start"))
    assert all(partition.held for partition in running.loop.report.partitions)
    outage.unlink()

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    # All are started at most once before it is noticed, and then the probes of each round.
    assert calls <= len({each.key for each in sent}) + THREADS + PROBES * (OUTAGE_SECONDS / OPEN_SECONDS + 1)
    assert max(entry.attempt for entry in running.ledger.of("start")) <= 2
    assert admin.records(letters) == []
    assert oracle.order_violations_per_key() == []
    assert oracle.run_twice() == []


def test_partitions_come_and_go_and_a_process_stops_quickly_while_the_breaker_is_open(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    good = messages(340, keys=40)
    sent = good[:40] + failing_in(outage, good[40:])
    admin.produce(name, [each.row for each in sent])
    options = {**BREAKER, "breaker_open_seconds": 2.0, "drain_seconds": 30.0}
    stays = engine(name, group, **options).start()
    eventually(lambda: all(p.held for p in stays.loop.report.partitions), SECONDS, "the breaker is open")

    began = time.monotonic()
    leaves = engine(name, group, "engine-1", **options).start()
    eventually(
        lambda: len(stays.loop.report.partitions) == len(leaves.loop.report.partitions) == 2,
        SECONDS,
        "the partitions are shared",
    )
    shared = time.monotonic()
    eventually(lambda: all(p.held for p in leaves.loop.report.partitions), SECONDS, "the newcomer's breaker is open")
    asked = time.monotonic()
    code = leaves.stop(drain_seconds=30.0)
    stopped = time.monotonic()
    eventually(lambda: len(stays.loop.report.partitions) == PARTITIONS, SECONDS, "it has all partitions again")
    outage.unlink()

    oracle = Oracle(stays.ledger, sent)
    oracle.wait_done()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    assert shared - began < QUICK
    assert (stopped - asked < QUICK, code) == (True, ExitCode.OK)
    assert admin.records(letters) == []
    assert oracle.order_violations_per_key() == []
    assert oracle.run_twice() == []  # also not what was done before, behind what failed


def test_hopeless_messages_leave_a_storms_worth_of_dead_letters_until_the_cause_is_mended(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    mixed = messages(1250, keys=200, sleep_ms=lambda _chance: 0)
    hopeless = failing_in(outage, mixed, "reject")
    sent = [better if not number % 5 else worse for number, (better, worse) in enumerate(zip(mixed, hopeless))]
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group, dead_letter_storm_messages=100, **{**BREAKER, "breaker_open_seconds": 0.3}).start()
    eventually(lambda: running.loop.report.breakers[-1].opened_times >= 6, SECONDS, "the storm goes on for some rounds")
    stored = len(admin.records(letters))
    outage.unlink()

    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is dealt with and committed")
    assert 50 <= stored <= 60
    assert len(running.ledger.done()) + len(admin.records(letters)) == len(sent)
    assert len(admin.records(letters)) <= stored + 2
    assert state(running, "dead letters") == "closed"


def test_a_dependency_that_a_handler_names_holds_it_although_most_of_its_messages_do_not_need_it(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    mixed = messages(600, keys=300)
    needy = failing_in(outage, mixed, uses="payments")
    sent = [worse if not number % 3 else better for number, (better, worse) in enumerate(zip(mixed, needy))]
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group, handler="tests.support.handlers:depending", **BREAKER).start()
    eventually(lambda: state(running, "payments") == "open", SECONDS, "the dependency's breaker is open")
    eventually(
        lambda: running.loop.report.partitions[0].held == "the circuit breaker of payments is open", SECONDS, "all is held"
    )
    assert state(running, "tests.support.handlers:depending") == "closed"
    outage.unlink()

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    assert admin.records(letters) == []
    assert oracle.order_violations_per_key() == []


def test_a_message_that_is_hopeless_does_not_keep_the_breaker_open(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    sent = [message("hopeless", key="hopeless", trouble="raise"), *failing_in(outage, messages(100, keys=100))]
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group, **{**BREAKER, "breaker_open_seconds": 0.5}).start()
    eventually(lambda: running.loop.report.breakers[0].opened_times >= 2, SECONDS, "it stays open")
    outage.unlink()

    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is dealt with and committed")
    assert [letter.key for letter in admin.records(letters)] == [b"hopeless"]
    assert len(running.ledger.done()) == 100


def test_good_messages_get_through_although_all_that_was_there_is_hopeless(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.create_topic(name + ".dlq", partitions=1)
    admin.produce(name, [message(f"bad-{number}", key=str(number), trouble="raise").row for number in range(30)])
    running = engine(name, group, **{**BREAKER, "breaker_open_seconds": 0.3}).start()
    eventually(lambda: running.loop.report.breakers[0].opened_times >= 3, SECONDS, "it is open again and again")

    good = [message(f"good-{number}", key=f"good-{number}") for number in range(20)]
    admin.produce(name, [each.row for each in good])

    Oracle(running.ledger, good).wait_done(SECONDS, "the good ones are done")


@pytest.mark.parametrize(("trouble", "storm"), [("data", 0.0), ("raise", 0.0), ("data", 0.5)])
def test_a_topic_most_of_whose_messages_are_bad_flows_or_is_stopped_by_the_storm_limit_which_says_so(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], trouble: str, storm: float
) -> None:
    """With the waits of a half-open breaker that failed, which are long, it would take minutes."""
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    sent, good = partly_bad(600, 5, 3, trouble)
    admin.produce(name, [each.row for each in sent])

    options = {**BREAKER, "breaker_open_seconds": 10.0, "dead_letter_storm_share": storm}
    running = engine(name, group, ordering="none", **options).start()

    oracle = Oracle(running.ledger, good)
    if storm:
        said = "the circuit breaker of dead letters is open"
        eventually(lambda: all(partition.held == said for partition in running.loop.report.partitions), SECONDS, "all is held")
        eventually(lambda: len(admin.records(letters)) >= 50, SECONDS, "they are stored")
        assert len(admin.records(letters)) < 70
        return
    eventually(lambda: len(oracle.missing()) < 0.05 * len(good), SECONDS / 2, "nearly all good ones are done")
    assert trouble != "data" or [breaker.opened_times for breaker in running.loop.report.breakers] == [0]
    assert not {each.id for each in good} & ids(admin.records(letters))


def test_an_outage_of_what_a_topic_of_bad_messages_depends_on_makes_no_dead_letter_of_a_good_one(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    outage.unlink()
    sent, good = partly_bad(900, 5, 3, "raise")
    worse = [each if each not in good else failing_in(outage, [each])[0] for each in sent]
    admin.produce(name, [each.row for each in worse])
    options = {**BREAKER, "breaker_open_seconds": 1.0, "dead_letter_storm_share": 0.0}
    running = engine(name, group, ordering="none", **options).start()
    eventually(lambda: len(running.ledger.done()) > 30, SECONDS, "it flows")

    outage.touch()
    eventually(lambda: running.loop.report.breakers[0].probe_in > 0, SECONDS, "nothing is started")
    before, done = len(running.ledger.of("start")), len(running.ledger.done())
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > OUTAGE_SECONDS, SECONDS, "the outage lasts")
    calls = len(running.ledger.of("start")) - before
    assert len(running.ledger.done()) - done <= THREADS
    outage.unlink()

    oracle = Oracle(running.ledger, good)
    eventually(lambda: len(oracle.missing()) < 0.05 * len(good), SECONDS, "nearly all good ones are done")
    assert calls <= (PROBES + THREADS) * (OUTAGE_SECONDS / 1.0 + 1)
    assert not {each.id for each in good} & ids(admin.records(letters))


def partly_bad(count: int, of: int, bad: int, trouble: str) -> Tuple[List[Sent], List[Sent]]:
    """(all, the good ones): `bad` out of each `of` messages are hopeless, by this trouble."""
    sent = messages(count, keys=count)
    good = [each for number, each in enumerate(sent) if number % of >= bad]
    return [each if each in good else Sent(each.id, each.key, 0, {**each.payload, "trouble": trouble}) for each in sent], good


@pytest.mark.parametrize("kind", ["coroutine", "batch"])
def test_lists_and_coroutines_are_held_and_tried_too(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], outage: Path, kind: str
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    sent = failing_in(outage, messages(200, keys=60))
    admin.produce(name, [each.row for each in sent])

    handler = "tests.support.handlers:" + kind
    running = engine(name, group, handler=handler, **{**BREAKER, "breaker_open_seconds": 0.3}).start()
    eventually(lambda: any(b.opened_times >= 3 for b in running.loop.report.breakers), SECONDS, "it is open again and again")
    outage.unlink()

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    assert max(entry.attempt for entry in running.ledger.of("start")) <= 2
    assert admin.records(letters) == []
    assert oracle.order_violations_per_key() == []
