"""Checks of the cluster, and of our place in it. Pure."""

from __future__ import annotations

import re
from typing import Mapping

from kafka_worker.kafka.properties import CLASSIC_DEFAULTS, consumer_properties, member_name, of_new_protocol
from kafka_worker.ops.doctor.facts import Facts
from kafka_worker.ops.doctor.verdict import State, Verdict, ok
from kafka_worker.ops.lag.rows import Member
from kafka_worker.shared.foreign.texts import counted

METADATA_BYTES = 4096  # of a commit, Kafka's default: what the offset map counts with
NO_NAMES = ("", "localhost", "localhost.localdomain")  # of hosts: what many are called


def brokers(facts: Facts) -> Verdict:
    at = facts.settings.bootstrap_servers
    if facts.kafka.no_token:
        variables = "KAFKA_CLIENT_SASL_OAUTHBEARER_… and whom they name"
        return Verdict(State.FAIL, facts.kafka.away, f"look at {'KAFKA_OAUTH' if facts.settings.oauth else variables}")
    if facts.kafka.away:
        remedy = (
            "see whether brokers run there (their log, their disk); if so, look at KAFKA_BOOTSTRAP_SERVERS, the network, and "
            "KAFKA_CLIENT_SECURITY_PROTOCOL (a port for TLS tells others nothing)"
        )
        return Verdict(State.FAIL, f"nobody answers at {at}: {facts.kafka.away}", remedy)
    if facts.kafka.silent:
        text = f"{facts.kafka.brokers} by {at}, and these do not answer: {', '.join(facts.kafka.silent)}"
        return Verdict(State.WARN, text, "look at these, at the network between, and at their advertised.listeners")
    return ok(f"{facts.kafka.brokers} by {at}")


def credentials(facts: Facts) -> Verdict:
    if facts.kafka.refused:
        return Verdict(State.FAIL, facts.kafka.refused, "correct the settings that it names")
    return ok("the brokers and we believe each other")


def group(facts: Facts) -> Verdict:
    name = facts.settings.group_id
    if facts.kafka.coordinator_away:
        return Verdict(State.FAIL, facts.kafka.group_refused, "start the broker that is away: see brokers and leaders")
    operations, fix = facts.kafka.of_group, f"kafka-acls --add --operation READ --group {name}"
    if facts.kafka.group_refused:
        return Verdict(State.FAIL, facts.kafka.group_refused, fix)
    if operations is not None and "READ" not in operations:
        return Verdict(State.FAIL, f"no right to read {name}: it may be looked at, not joined", fix)
    if facts.kafka.members is None:
        return ok(name)
    return _of_members(facts, f"{name} has {counted(len(facts.kafka.members), 'member')}")


def _of_members(facts: Facts, text: str) -> Verdict:
    """Whether these can be in one group with us, and are of our kind."""
    kafka, given = facts.kafka, consumer_properties(facts.settings, "")
    ours = str(given.get("partition.assignment.strategy", ""))
    if kafka.strategy and not of_new_protocol(given) and kafka.strategy not in re.split("[ ,]+", ours):
        named = f"{text}, whose partition.assignment.strategy is {kafka.strategy}: with ours, {ours}, none of us is taken"
        fix = "stop them (lag names them), or set KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY to theirs"
        return Verdict(State.FAIL, named, fix)
    strangers = [each for each in kafka.members or () if not _is_of_a_service(each, facts.settings.membership)]
    if strangers:
        named = ", ".join(sorted({f"{each.name} at {each.address}" for each in strangers}))
        fix = "stop it, or give it a group of its own: it takes partitions, and what it does with them is not known here"
        return Verdict(State.WARN, f"{text}, and this is no process of a service like ours: {named}", fix)
    others = {topic for each in kafka.members or () for topic, _ in each.partitions}.difference(kafka.consumed)
    if others:
        fix = "give each service a KAFKA_GROUP_ID of its own: a restart of one halts the other for a moment"
        return Verdict(State.WARN, f"{text}, which consume other topics, too: {', '.join(sorted(others))}", fix)
    return ok(text)


def _is_of_a_service(member: Member, membership: str) -> bool:
    """By its name, which says its host and slot. Only static ones are sure to be: others' default names have numbers, too."""
    return member.instance == member.name if membership == "static" else re.search(r".-\d+$", member.name) is not None


def producer(facts: Facts) -> Verdict:
    if facts.kafka.no_producer:
        fix = "correct KAFKA_PRODUCER_SASL_…, KAFKA_PRODUCER_SSL_… and KAFKA_PRODUCER_SECURITY_PROTOCOL, or remove them"
        return Verdict(State.FAIL, f"brokers do not take ours in: {facts.kafka.no_producer}", fix)
    return ok("dead letters, retries and results can be sent")


def transactions(facts: Facts) -> Verdict:
    if facts.settings.delivery != "exactly-once":
        return ok("not used: DELIVERY = at-least-once")
    refusal, ours = facts.kafka.no_transactions, f"{facts.settings.group_id}."
    if refusal is None:
        return ok(f"can begin, by ids that begin with {ours}")
    fixes = {
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "kafka-acls --add --operation WRITE --operation DESCRIBE "
        f"--transactional-id {ours} --resource-pattern-type prefixed",
        "INVALID_TRANSACTION_TIMEOUT": "lower KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS, or raise the brokers' "
        "transaction.max.timeout.ms",
        "COORDINATOR_NOT_AVAILABLE": "look at __transaction_state (kafka-topics --describe), and at the brokers that have its "
        "partitions",
        "_TIMED_OUT": "look at __transaction_state (kafka-topics --describe): it can't be made with "
        "transaction.state.log.replication.factor above the number of brokers",
    }
    text = f"none can begin by an id that begins with {ours}: {refusal.text}"
    return Verdict(State.FAIL, text, fixes.get(refusal.name, "mend what it says, or remove DELIVERY=exactly-once"))


def session(facts: Facts) -> Verdict:
    given = {**facts.settings.client_properties, **facts.settings.consumer_properties}
    if of_new_protocol(given):
        return _session_of_brokers(facts, given)
    session = int(given.get("session.timeout.ms", CLASSIC_DEFAULTS["session.timeout.ms"]))
    bounds = [facts.kafka.properties.get(f"group.{end}.session.timeout.ms") for end in ("min", "max")]
    if None in bounds:
        return Verdict(State.SKIPPED, "the brokers do not tell their bounds")
    low, high = (int(str(bound)) for bound in bounds)
    text = f"session.timeout.ms = {session}, the brokers allow {low} to {high}"
    if not low <= session <= high:
        return Verdict(State.FAIL, text, "set KAFKA_CONSUMER_SESSION_TIMEOUT_MS, or the brokers' group.max.session.timeout.ms")
    return ok(text)


def _session_of_brokers(facts: Facts, given: Mapping[str, str]) -> Verdict:
    """By the new protocol it is theirs, if they know that."""
    told = facts.kafka.properties
    protocols, session = told.get("group.coordinator.rebalance.protocols"), told.get("group.consumer.session.timeout.ms")
    if protocols is None or session is None:
        return Verdict(State.SKIPPED, "the brokers do not tell which protocols of groups they know")
    if "consumer" not in protocols:
        fix = "remove KAFKA_CONSUMER_GROUP_PROTOCOL, or have brokers of Kafka 4"
        return Verdict(State.FAIL, f"group.protocol=consumer is not known to the brokers ({protocols} is)", fix)
    assignor, known = str(given.get("group.remote.assignor", "")), told.get("group.consumer.assignors", "")
    if assignor and known and "." not in known and assignor not in known.replace(" ", "").split(","):
        fix = "set KAFKA_CONSUMER_GROUP_REMOTE_ASSIGNOR to one of these, or remove it"
        return Verdict(State.FAIL, f"the brokers know no assignor {assignor}, but {known}", fix)
    text = f"the brokers' session is {int(session) // 1000} s"
    if facts.settings.membership != "static":
        fix = "set MEMBERSHIP=static: its successor has them at once"
        return Verdict(State.WARN, f"{text}, and a process that dies leaves its partitions alone for so long", fix)
    return ok(text)


def metadata(facts: Facts) -> Verdict:
    told = facts.kafka.properties.get("offset.metadata.max.bytes")
    if told is None:
        return Verdict(State.SKIPPED, "the brokers do not tell how much may stand beside an offset")
    if int(told) < METADATA_BYTES:
        text = f"offset.metadata.max.bytes = {told}: what is done beyond an offset does not fit beside it"
        return Verdict(
            State.WARN, f"{text}, so more runs again elsewhere after a crash", f"set it to {METADATA_BYTES} or more"
        )
    return ok(f"{told} bytes may stand beside an offset")


def host(facts: Facts) -> Verdict:
    settings = facts.settings
    if settings.membership != "static":
        return ok("members have no fixed ids")
    if facts.kafka.members is None:
        return Verdict(State.SKIPPED, "the members of the group can't be told")
    missing = facts.fenced if facts.runs_here else range(settings.processes)
    names = {member_name(settings.host, slot) for slot in missing}
    taken = sorted({each.address for each in facts.kafka.members if each.instance in names})
    if taken and facts.untold:
        text = f"{settings.host} has members in the group at {', '.join(taken)}, and whether they are ours can't be told"
        return Verdict(State.WARN, f"{text}: {facts.untold}", "what that says; then ask again")
    if taken and not facts.runs_here and facts.addresses.issuperset(taken):
        return Verdict(
            State.WARN,
            f"{settings.host} has members in the group at {', '.join(taken)}, this machine, and no supervisor answers here: "
            "processes of one that was killed finish what they run, or their seats are kept for a session timeout",
            "nothing: a new supervisor takes them over. If they stay without one, this group runs here once more, with "
            "another RUNTIME_DIRECTORY or in a container: stop one of the two",
        )
    if taken:
        why = "our own member of that id was fenced" if facts.runs_here else "nothing runs here: they would fence each other"
        text = f"{settings.host} stands for a service at {', '.join(taken)} in the group, and {why}"
        return Verdict(State.FAIL, text, "give each machine a host name of its own, and run a group once on each")
    if settings.host in NO_NAMES:
        text = f"this machine is called {settings.host or 'nothing'}: another one of that name would fence us"
        return Verdict(State.WARN, text, "give it a host name of its own, or set MEMBERSHIP=dynamic")
    return ok(f"{settings.host} stands for this machine alone")
