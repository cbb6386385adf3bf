"""The librdkafka properties of a child's consumer and producer. Pure.

Three layers: our defaults, then what the user set (`KAFKA_CLIENT_…`, `KAFKA_CONSUMER_…`, `KAFKA_PRODUCER_…`), then what the
service itself must own, because its promises rest on it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple

from kafka_worker.shared.producing import TOGETHER
from kafka_worker.shared.routes import ignored
from kafka_worker.shared.settings import MAX_POLL_INTERVAL_MS, SESSION_TIMEOUT_MS, Settings
from kafka_worker.shared.system import memory

# Where members do the group's rebalances; by the new protocol the brokers have these.
CLASSIC_DEFAULTS: Dict[str, Any] = {
    "session.timeout.ms": SESSION_TIMEOUT_MS,
    # Partitions move at the pace of group heartbeats: 3000 (the client's default) means 2.3 s for a hand-over, 500 means
    # 0.23 s.
    "heartbeat.interval.ms": 500,
    "partition.assignment.strategy": "cooperative-sticky",
}
CONSUMER_DEFAULTS: Dict[str, Any] = {
    "auto.offset.reset": "earliest",
    "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
    # The client would prefetch up to 64 MiB and then sleep for a second; here it looks again soon. Beside what these allow, it
    # has one fetch. (That ends within a batch of the producer's, whose rest is sent again: with much less of a partition, that
    # is more than a tenth.)
    "queued.min.messages": 1000,
    "queued.max.messages.kbytes": 4096,
    "fetch.message.max.bytes": 131072,
    "fetch.max.bytes": 1048576,
    "message.max.bytes": 1000,  # the least: all that it means here is that fetch.max.bytes may not be less
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 100,
    # New topics and partitions are noticed after this long, not after five minutes.
    "topic.metadata.refresh.interval.ms": 30000,
    # It tells nowhere else that it waits for others in a rebalance. 0.04 ms for us, with a hundred partitions.
    "statistics.interval.ms": 5000,
}
COMMON_DEFAULTS: Dict[str, Any] = {
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2000,  # the client's 10 s would be most of "work goes on within 10 s of the broker's return"
    # Where packets get lost nothing is told before that. The client would wait for 30 s; this is the Java client's.
    "socket.connection.setup.timeout.ms": 10000,
    "log.connection.close": False,  # see `client_log`
}
PRODUCER_DEFAULTS: Dict[str, Any] = {
    "message.timeout.ms": 30000,
    # A missing topic is known, by its name, after this long; by default the message would time out first.
    "topic.metadata.propagation.max.ms": 5000,
    "compression.type": "lz4",
    **TOGETHER,
}


# The client's own, and the most that brokers give a transaction, where nobody has told them otherwise.
TRANSACTION_MS, MOST_TRANSACTION_MS = 60_000, 900_000

# The names of the two places that auto.offset.reset may send a group to; by default we begin at the first message.
EARLIEST, LATEST = ("earliest", "beginning", "smallest"), ("latest", "end", "largest")


def consumer_properties(settings: Settings, member: str) -> Dict[str, Any]:
    """For the consumer of the member named `member` (see `member_name`)."""
    given = {**settings.client_properties, **settings.consumer_properties}
    classic = {} if of_new_protocol(given) else CLASSIC_DEFAULTS
    properties = {**COMMON_DEFAULTS, **CONSUMER_DEFAULTS, **classic, **_bounded(settings)}
    if "message.max.bytes" in given:  # by producers, rather: the client itself makes fetch.max.bytes as large
        del properties["fetch.max.bytes"]
    properties.update(given)
    properties.update(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.group_id,
            "client.id": member,  # unique: members that share one send cooperative-sticky into an endless loop
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,  # the only sign of "nothing there" on a partition that gave us no message yet
        }
    )
    if ignored(settings):
        properties["topic.blacklist"] = ",".join(filter(None, (ignored(settings), properties.get("topic.blacklist"))))
    if settings.membership == "static":
        properties["group.instance.id"] = member
    return properties


def _bounded(settings: Settings) -> Dict[str, Any]:
    """Less ahead, where memory is short: half of the share is the client's queue, and once more as much as the share may be in
    hand (see `prefetch`). A message that is larger than a fetch the broker sends alone."""
    shares = memory.shares(settings)
    if shares is None:
        return {}
    most = CONSUMER_DEFAULTS["queued.max.messages.kbytes"]
    return {"queued.max.messages.kbytes": min(most, shares.prefetch // 2 // memory.KIBIBYTE)}


def producer_properties(settings: Settings, member: str) -> Dict[str, Any]:
    """For the producer of dead letters, and of whatever else leaves by the outbox."""
    given = {**settings.client_properties, **settings.producer_properties}
    return {
        **COMMON_DEFAULTS,
        **PRODUCER_DEFAULTS,
        **_within_a_transaction(given),
        **_as_long_as_a_session(settings),
        **given,
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": member,
        "enable.idempotence": True,
        "acks": "all",
        # Who comes next in this slot aborts what we have left open.
        **({"transactional.id": _transactional_id(settings.group_id, member)} if settings.delivery == "exactly-once" else {}),
    }


def _transactional_id(group: str, member: str) -> str:
    """A cluster has one space of these for all groups, whose names have dots, as those of hosts do: here the last dot ends the
    group's. And it begins with the group, so that a right can be given to all of it."""
    return f"{group}.{member.replace('%', '%25').replace('.', '%2E')}"


def _within_a_transaction(given: Mapping[str, str]) -> Dict[str, Any]:
    """A message may not have more time than its transaction, where somebody has given that less: the client refuses it."""
    most, usual = given.get("transaction.timeout.ms", ""), PRODUCER_DEFAULTS["message.timeout.ms"]
    return {"message.timeout.ms": min(usual, int(most))} if most.isdecimal() else {}


def _as_long_as_a_session(settings: Settings) -> Dict[str, Any]:
    """Brokers that were away for longer than they give a transaction have ended it, and refuse whoever began it. Who has lost
    his seat meanwhile, too, takes that for what it is, and not for another of his name (see `Committer`)."""
    if settings.delivery != "exactly-once":
        return {}
    return {"transaction.timeout.ms": int(min(max(1000 * settings.session_seconds, TRANSACTION_MS), MOST_TRANSACTION_MS))}


class Member(NamedTuple):
    """Who we are: a slot of a host."""

    host: str
    slot: int


def member_name(host: str, slot: int) -> str:
    """One name for a slot's place in the group, its client and its logs. The host is in it, so that two hosts never share
    one."""
    return f"{host}-{slot}"


def is_cooperative(properties: Dict[str, Any]) -> bool:
    """Whether the group gives and takes partitions one by one."""
    strategy = str(properties.get("partition.assignment.strategy", ""))
    return strategy.startswith("cooperative") or of_new_protocol(properties)


def may_owe_a_rejoin(properties: Dict[str, Any]) -> bool:
    """Whether a member with these properties may owe its group a second word (see `recovery.follow_up`). Brokers that do the
    rebalances themselves (KIP-848) want none, and a dynamic member comes back as another one. (One that is not cooperative may
    just be subscribed to other topics than who had its seat.)"""
    return "group.instance.id" in properties and not of_new_protocol(properties)


def of_new_protocol(properties: Mapping[str, Any]) -> bool:
    """Whether the brokers do the group's rebalances (KIP-848), not its members."""
    return str(properties.get("group.protocol", "")) == "consumer"
