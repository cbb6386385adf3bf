"""What the doctor makes of facts: one thing wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Set

import pytest

from kafka_worker.ops.doctor.checks import CHECKS, examine
from kafka_worker.ops.doctor.facts import Facts, Kafka, Refusal, Topic
from kafka_worker.ops.doctor.verdict import State, Verdict
from kafka_worker.ops.lag.rows import Member
from tests.unit.fakes import some_settings

NOW = 1_700_000_000.0
SETTINGS = some_settings(topics=("orders",), host="web-1", processes=2)
ALL = frozenset({"READ", "WRITE", "DESCRIBE"})
LARGE = {"max.message.bytes": "1000", "cleanup.policy": "delete"}
ORDERS = Topic(8, ALL, LARGE, NOW - 5)
SOUND = Kafka(
    brokers=3,
    consumed={"orders": ORDERS},
    letters={"orders.dlq": Topic(2, ALL, LARGE)},
    members=[Member("web-2-0", "web-2-0", "10.0.0.2", (("orders", 0),))],
    strategy="cooperative-sticky",
    properties={
        "group.min.session.timeout.ms": "6000", "group.max.session.timeout.ms": "1800000", "offset.metadata.max.bytes": "4096",
    },
)  # fmt: skip
FACTS = Facts(SETTINGS, NOW, memory=1 << 33, versions="1.0", kafka=SOUND)
LETTERS = Topic(2, ALL, LARGE)
ABSENT = Topic(0)
LIKE_OURS = Member("web-1-b-0", "web-1-b-0", "10.0.0.3", ())  # of another host, whose name begins as ours


def verdicts(facts: Facts) -> Dict[str, Verdict]:
    return {check.name: verdict for check, verdict in examine(facts)}


def wrong(facts: Facts) -> Dict[str, State]:
    found = verdicts(facts)
    return {name: each.state for name, each in found.items() if each.state in (State.WARN, State.FAIL)}


def with_kafka(**changes: Any) -> Facts:
    return replace(FACTS, kafka=replace(SOUND, **changes))


def of_new_protocol(membership: str, known: str, assignor: str = "range") -> Facts:
    """Of a service that asks for it, on brokers that know these."""
    asked = {"group.protocol": "consumer", "group.remote.assignor": assignor}
    settings = replace(SETTINGS, membership=membership, consumer_properties=asked)
    told = {
        "group.coordinator.rebalance.protocols": known, "group.consumer.session.timeout.ms": "45000",
        "group.consumer.assignors": "uniform,range",
    }  # fmt: skip
    return replace(with_kafka(properties={**SOUND.properties, **told}), settings=settings)


def matching(*patterns: str) -> Facts:
    """Where topics are consumed by these, and only orders is there."""
    return replace(FACTS, settings=replace(SETTINGS, topics=patterns))


def retrying(topic: Topic) -> Facts:
    """Where retries wait in this one."""
    consumed = with_kafka(consumed={"orders": ORDERS, "orders.retry.30s": topic})
    return replace(consumed, settings=replace(SETTINGS, retry_topics=("30s",)))


def exactly_once(refusal: Refusal) -> Facts:
    return replace(with_kafka(no_transactions=refusal), settings=replace(SETTINGS, delivery="exactly-once"))


def with_letters(**properties: str) -> Facts:
    changed = {**LARGE, **{name.replace("_", "."): value for name, value in properties.items()}}
    return with_kafka(letters={"orders.dlq": Topic(2, ALL, changed)})


def waiting(retention: str) -> Facts:
    """Where messages may wait for two hours, in their topic."""
    kept = with_kafka(consumed={"orders": Topic(8, ALL, {**LARGE, "retention.ms": retention}, NOW - 5)})
    return replace(kept, settings=replace(SETTINGS, deliver_at_max_seconds=7200.0))


def test_where_nothing_is_wrong_every_check_says_so() -> None:
    assert {each.state for each in verdicts(FACTS).values()} == {State.OK}
    assert len(verdicts(FACTS)) == len(CHECKS)


@pytest.mark.parametrize(
    ("facts", "name", "state"),
    [
        (replace(FACTS, faults=["PROCESSES = no"]), "configuration", State.FAIL),
        (replace(FACTS, unusable=["HANDLER can't be imported"]), "handler", State.FAIL),
        (replace(FACTS, doubtful=["FATAL_ERRORS = NoSuchKey"]), "handler", State.WARN),
        (replace(FACTS, lacking=["40 open files are allowed"]), "machine", State.FAIL),
        (replace(FACTS, unwritable=["/run/x"]), "folders", State.FAIL),
        (replace(FACTS, memory=1 << 20), "memory", State.WARN),
        (with_kafka(away="Connection refused"), "brokers", State.FAIL),
        (with_kafka(silent=["2 (host-b:9092)"]), "brokers", State.WARN),
        (with_kafka(refused="Authentication failed"), "credentials", State.FAIL),
        (with_kafka(consumed={"orders": ABSENT}), "topics", State.FAIL),
        (with_kafka(consumed={"orders": Topic(2, ALL, LARGE)}, members=[LIKE_OURS]), "partitions", State.WARN),
        (with_kafka(consumed={"orders": replace(ORDERS, leaderless=(3, 5))}), "leaders", State.FAIL),
        (with_kafka(letters={"orders.dlq": Topic(2, ALL, LARGE, thin=(0,))}), "leaders", State.WARN),
        (with_kafka(consumed={"orders": Topic(8, frozenset(), LARGE)}), "rights", State.FAIL),
        (with_kafka(letters={"orders.dlq": Topic(2, frozenset({"READ"}), LARGE)}), "rights", State.FAIL),
        (with_kafka(group_refused="GROUP_AUTHORIZATION_FAILED"), "group", State.FAIL),
        (with_kafka(group_refused="no answer", coordinator_away=True), "group", State.FAIL),
        (with_kafka(of_group=frozenset({"DESCRIBE"})), "group", State.FAIL),
        (with_kafka(strategy="range"), "group", State.FAIL),
        (with_kafka(members=[Member("consumer-orders-1", "", "10.0.0.2", ())]), "group", State.WARN),
        (with_kafka(members=[Member("web-2-0", "web-2-0", "10.0.0.2", (("returns", 0),))]), "group", State.WARN),
        (with_kafka(letters={"orders.dlq": ABSENT}), "dead letters", State.FAIL),
        (with_letters(max_message_bytes="999"), "size of dead letters", State.WARN),
        (with_letters(cleanup_policy="delete,compact"), "dead letters stay", State.FAIL),
        (with_kafka(consumed={"orders": Topic(8, ALL, {**LARGE, "cleanup.policy": "compact"})}), "messages stay", State.WARN),
        (waiting(retention="3600000"), "waits", State.WARN),
        (with_kafka(properties={**SOUND.properties, "group.max.session.timeout.ms": "59999"}), "session", State.FAIL),
        (with_kafka(properties={**SOUND.properties, "offset.metadata.max.bytes": "100"}), "offset metadata", State.WARN),
        (with_kafka(members=[Member("web-1-1", "web-1-1", "10.0.0.9", ())]), "host name", State.FAIL),
        (replace(FACTS, settings=some_settings(topics=("orders",), host="localhost", processes=2)), "host name", State.WARN),
        (with_kafka(consumed={"orders": replace(ORDERS, newest=NOW + 86_400)}), "clock", State.WARN),
        (with_kafka(consumed={"orders": replace(ORDERS, backward=86_400)}), "clock", State.WARN),
        (of_new_protocol("static", "classic"), "session", State.FAIL),
        (of_new_protocol("static", "classic,consumer", assignor="sticky"), "session", State.FAIL),
        (with_kafka(no_token=True, away="no token"), "brokers", State.FAIL),
        (matching("^bills", "^orders"), "topics", State.WARN),
        (retrying(Topic(2, frozenset({"READ"}), LARGE)), "rights", State.FAIL),
        (retrying(Topic(2, ALL, {**LARGE, "max.message.bytes": "999"})), "size of dead letters", State.WARN),
        (retrying(Topic(2, ALL, {**LARGE, "cleanup.policy": "compact"})), "dead letters stay", State.FAIL),
        (with_kafka(letters={"orders.dlq": replace(LETTERS, shut=(1,))}), "leaders", State.FAIL),
        (exactly_once(Refusal("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "no")), "transactions", State.FAIL),
        (with_kafka(no_producer="Authentication failed"), "producer", State.FAIL),
        (exactly_once(Refusal("_TIMED_OUT", "no answer")), "transactions", State.FAIL),
        (of_new_protocol("dynamic", "classic,consumer"), "session", State.WARN),
    ],
)
def test_what_is_wrong_is_found_by_its_own_check_alone_which_says_how_to_mend_it(
    facts: Facts, name: str, state: State
) -> None:
    assert wrong(facts) == {name: state}
    assert verdicts(facts)[name].fix


def test_whose_the_members_of_our_name_are_is_not_said_where_the_supervisor_can_not_be_asked() -> None:
    theirs = with_kafka(members=[Member("web-1-0", "web-1-0", "10.0.0.9", ())])
    found = verdicts(replace(theirs, untold="process 7 is stopped"))["host name"]

    assert (found.state, "process 7 is stopped" in found.text) == (State.WARN, True)


def test_a_topic_that_is_missing_hides_nothing_of_what_may_be_done_with_the_others() -> None:
    found = verdicts(with_kafka(letters={"orders.dlq": ABSENT}))

    assert (found["dead letters"].state, found["rights"].state) == (State.FAIL, State.OK)


@pytest.mark.parametrize(
    ("facts", "skipped"),
    [
        (with_kafka(away="nobody"), {"credentials", "topics", "rights", "group", "session", "clock", "dead letters stay"}),
        (with_kafka(properties={}), {"session", "offset metadata"}),
        (with_kafka(members=None), {"host name"}),
        (with_kafka(consumed={"orders": Topic(8)}), {"rights", "size of dead letters", "clock"}),
    ],
)
def test_what_can_not_be_told_is_skipped_and_nothing_is_said_to_be_wrong_with_it(facts: Facts, skipped: Set[str]) -> None:
    found = verdicts(facts)

    assert skipped <= {name for name, each in found.items() if each.state is State.SKIPPED}


def test_a_host_name_that_runs_here_is_ours() -> None:
    ours = with_kafka(members=[Member("web-1-0", "web-1-0", "10.0.0.1", ())])

    assert wrong(replace(ours, runs_here=True)) == {}
    assert wrong(replace(ours, runs_here=True, fenced=frozenset({1}))) == {}


def test_a_strategy_is_ours_wherever_it_stands_among_those_that_we_can() -> None:
    given = {"partition.assignment.strategy": "range, roundrobin"}
    facts = replace(with_kafka(strategy="roundrobin"), settings=replace(SETTINGS, consumer_properties=given))

    assert verdicts(facts)["group"].state is State.OK


def test_members_at_our_own_address_are_no_other_machine_when_the_supervisor_was_killed() -> None:
    """They finish what they run, or have kept their seats."""
    left = with_kafka(members=[Member("web-1-0", "web-1-0", "10.0.0.1", ())])

    assert wrong(left) == {"host name": State.FAIL}
    assert wrong(replace(left, addresses=frozenset({"127.0.0.1", "10.0.0.1"}))) == {"host name": State.WARN}


def test_whoever_has_the_id_of_a_process_of_ours_that_was_fenced_is_another() -> None:
    theirs = replace(with_kafka(members=[Member("web-1-0", "web-1-0", "10.0.0.9", ())]), runs_here=True, fenced=frozenset({0}))

    assert wrong(theirs) == {"host name": State.FAIL}
    assert "web-1 stands for a service at 10.0.0.9" in verdicts(theirs)["host name"].text
