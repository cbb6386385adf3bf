"""Checks of the topics: those that are consumed, and those that what fails goes to. Pure."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Sequence

from kafka_worker.ops.doctor.facts import Facts, Topic
from kafka_worker.ops.doctor.verdict import State, Verdict, first_of, ok
from kafka_worker.ops.tables import duration
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.routes import RETRY_MARK
from kafka_worker.shared.topic_settings import PATTERN, fits

AHEAD_SECONDS = 60.0  # clocks that are further apart are wrong
BACKWARD_SECONDS = 3600.0  # what is sent late, or once more, is older than its neighbours, too


def topics(facts: Facts) -> Verdict:
    consumed = facts.kafka.consumed
    idle = [
        name for name in facts.settings.topics if name.startswith(PATTERN) and not any(fits(each, name) for each in consumed)
    ]
    unmatched = [
        Verdict(
            State.WARN if consumed else State.FAIL,
            f"there is no topic that {name} matches, or it may not be seen with these rights",
            "correct that pattern in HANDLERS, or create such a topic",
        )
        for name in idle
    ]
    return first_of([*map(_missing(facts), _absent(consumed)), *unmatched], _listed(consumed))


def leaders(facts: Facts) -> Verdict:
    topics = {**facts.kafka.consumed, **facts.kafka.letters}
    fix = "start the brokers that are away: kafka-topics --describe names them (Replicas without Isr)"
    away = [
        Verdict(State.FAIL, f"no broker serves {_numbered(name, topic.leaderless)}", fix)
        for name, topic in topics.items()
        if topic.leaderless
    ]
    thin = [
        Verdict(State.WARN, f"of {_numbered(name, topic.thin)} copies are missing or behind", fix)
        for name, topic in topics.items()
        if topic.thin
    ]
    shut = [
        Verdict(State.FAIL, f"{_numbered(name, topic.shut)} takes nothing: fewer copies than min.insync.replicas", fix)
        for name, topic in _written(facts).items()
        if topic.shut
    ]
    return first_of([*away, *shut, *thin], "each partition has a broker that serves it, and all its copies")


def partitions(facts: Facts) -> Verdict:
    processes = facts.settings.processes
    others = {each.name for each in facts.kafka.members or () if each.name.rpartition("-")[0] != facts.settings.host}
    partitions = sum(topic.partitions for topic in facts.kafka.consumed.values())
    text = f"{counted(partitions, 'partition')} for {counted(processes, 'process')} here and {len(others)} elsewhere"
    if partitions < processes + len(others):
        return Verdict(State.WARN, f"{text}: some get none", "lower PROCESSES, or add partitions (kafka-topics --alter)")
    return ok(text)


def rights(facts: Facts) -> Verdict:
    wanted = [(name, topic, "READ") for name, topic in facts.kafka.consumed.items()]
    wanted += [(name, topic, "WRITE") for name, topic in _written(facts).items()]
    if any(topic.partitions and topic.operations is None for _, topic, _ in wanted):
        return Verdict(State.SKIPPED, "the brokers do not tell what we may do")
    wrong = [
        Verdict(State.FAIL, f"no right to {right.lower()} {name}", f"kafka-acls --add --operation {right} --topic {name}")
        for name, topic, right in wanted
        if topic.partitions and right not in (topic.operations or ())
    ]
    return first_of(wrong, "to read what is consumed, and to write dead letters and retries")


def letters(facts: Facts) -> Verdict:
    return first_of(map(_missing(facts), _absent(facts.kafka.letters)), _listed(facts.kafka.letters))


def letters_size(facts: Facts) -> Verdict:
    suffix, name = facts.settings.dead_letter_suffix, "max.message.bytes"
    sizes = {
        written: (int(topic.properties[name]), int(source.properties[name]))
        for written, topic in _written(facts).items()
        for source in [
            facts.kafka.consumed.get(written.split(RETRY_MARK)[0] if RETRY_MARK in written else written[: -len(suffix)])
        ]
        if source and name in topic.properties and name in source.properties
    }
    if not sizes:
        return Verdict(State.SKIPPED, "the brokers do not tell how large messages may be")
    wrong = [
        Verdict(State.WARN, f"{written} takes {own} bytes a message, its topic {theirs}", _alter(written, name, theirs))
        for written, (own, theirs) in sizes.items()
        if own < theirs
    ]
    return first_of(wrong, "dead letters and retries may be as large as messages")


def letters_kept(facts: Facts) -> Verdict:
    name = "cleanup.policy"
    policies = {written: topic.properties[name] for written, topic in _written(facts).items() if name in topic.properties}
    if not policies:
        return Verdict(State.SKIPPED, "the brokers do not tell how topics are cleaned")
    wrong = [
        Verdict(State.FAIL, f"{written} is compacted: of one key it keeps the last", _alter(written, name, "delete"))
        for written, policy in policies.items()
        if "compact" in policy
    ]
    return first_of(wrong, "no topic of dead letters or retries is compacted")


def messages_kept(facts: Facts) -> Verdict:
    """What compaction takes before it is done nobody can tell from what was never there: the markers of transactions, say."""
    name = "cleanup.policy"
    policies = {
        topic: each.properties[name]
        for topic, each in facts.kafka.consumed.items()
        if name in each.properties and RETRY_MARK not in topic  # that one is looked at among those we write to
    }
    if not policies:
        return Verdict(State.SKIPPED, "the brokers do not tell how topics are cleaned")
    wrong = [
        Verdict(
            State.WARN,
            f"{topic} is compacted: of one key it keeps the last message, and those before may be gone before they are done, "
            "without a word",
            _alter(topic, name, "delete"),
        )
        for topic, policy in policies.items()
        if "compact" in policy
    ]
    return first_of(wrong, "no topic that is consumed is compacted")


def waits_kept(facts: Facts) -> Verdict:
    """Whether topics keep a message for as long as it may wait in them."""
    settings, name = facts.settings, "retention.ms"
    backoff = max(own.retry_backoff_max_seconds for own in settings.each()) if settings.retry_topics else 0.0
    longest = max(settings.deliver_at_max_seconds, backoff)
    kept = {
        topic: int(each.properties.get(name, -1)) / 1000
        for topic, each in facts.kafka.consumed.items()
        if bool(settings.retry_topics) == (RETRY_MARK in topic)
    }
    wrong = [
        Verdict(
            State.WARN,
            f"{topic} keeps messages for {duration(seconds)}, and one may wait there for {duration(longest)}",
            _alter(topic, name, int(2000 * longest)),
        )
        for topic, seconds in kept.items()
        if 0 <= seconds <= longest
    ]
    return first_of(wrong, "messages are kept for as long as they may wait")


def clock(facts: Facts) -> Verdict:
    newest = {name: topic.newest for name, topic in facts.kafka.consumed.items() if topic.newest > 0}
    if not newest:
        return Verdict(State.SKIPPED, "there is no message with a time to compare with")
    wrong = [
        Verdict(
            State.WARN, f"{name} has a message from {at - facts.now:.0f} s ahead of our clock", "look at the clocks of both"
        )
        for name, at in newest.items()
        if at - facts.now > AHEAD_SECONDS
    ]
    wrong += [
        Verdict(
            State.WARN,
            f"the last message of {name} says that it is {topic.backward:.0f} s older than one before it",
            "look at its producer's clock, unless it sends what is old: lag in seconds counts from that time",
        )
        for name, topic in facts.kafka.consumed.items()
        if topic.backward > BACKWARD_SECONDS
    ]
    return first_of(wrong, "no message is ahead of our clock, or far behind those before it")


def _written(facts: Facts) -> Dict[str, Topic]:
    """The topics that what fails goes to."""
    retries = {name: topic for name, topic in facts.kafka.consumed.items() if RETRY_MARK in name}
    return {**facts.kafka.letters, **(retries if facts.settings.retry_topics else {})}


def _absent(topics: Mapping[str, Topic]) -> List[str]:
    return [name for name, topic in topics.items() if not topic.partitions]


def _missing(facts: Facts) -> Callable[[str], Verdict]:
    command = f"kafka-topics --bootstrap-server {facts.settings.bootstrap_servers} --create --topic"

    def missing(name: str) -> Verdict:
        text = f"{name}: there is no such topic, or it may not be seen with these rights"
        return Verdict(State.FAIL, text, f"{command} {name} --partitions N")

    return missing


def _numbered(topic: str, numbers: Sequence[int]) -> str:
    return " ".join(f"{topic}[{number}]" for number in numbers)


def _listed(topics: Mapping[str, Topic]) -> str:
    return ", ".join(f"{name} ({counted(topic.partitions, 'partition')})" for name, topic in topics.items()) or "none"


def _alter(topic: str, name: str, value: object) -> str:
    return f"kafka-configs --alter --topic {topic} --add-config {name}={value}"
