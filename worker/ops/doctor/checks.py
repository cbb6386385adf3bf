"""What is checked, in its order: each check by itself, so that one that can't be made hides no other. Pure."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Tuple

from kafka_worker.ops.doctor import of_cluster as cluster
from kafka_worker.ops.doctor import of_host as host
from kafka_worker.ops.doctor import of_topics as topics
from kafka_worker.ops.doctor.facts import Facts
from kafka_worker.ops.doctor.of_registry import registry
from kafka_worker.ops.doctor.verdict import State, Verdict


class Check(NamedTuple):
    """One of them."""

    name: str
    needs: Tuple[str, ...]  # checks without which it says nothing
    judge: Callable[[Facts], Verdict]


Outcome = Tuple[Check, Verdict]

CHECKS = (
    Check("configuration", (), host.configuration),
    Check("machine", (), host.machine),
    Check("handler", ("configuration", "machine"), host.handler),
    Check("folders", (), host.folders),
    Check("memory", ("configuration",), host.memory),
    Check("stop time", ("configuration",), host.stop_time),
    Check("versions", (), host.versions),
    Check("brokers", ("configuration",), cluster.brokers),
    Check("credentials", ("brokers",), cluster.credentials),
    Check("topics", ("credentials",), topics.topics),
    Check("leaders", ("topics",), topics.leaders),
    Check("partitions", ("topics",), topics.partitions),
    Check("rights", ("credentials",), topics.rights),
    Check("group", ("credentials",), cluster.group),
    Check("producer", ("credentials",), cluster.producer),
    Check("transactions", ("producer",), cluster.transactions),
    Check("dead letters", ("credentials",), topics.letters),
    Check("size of dead letters", ("dead letters",), topics.letters_size),
    Check("dead letters stay", ("dead letters",), topics.letters_kept),
    Check("messages stay", ("topics",), topics.messages_kept),
    Check("waits", ("topics",), topics.waits_kept),
    Check("session", ("credentials",), cluster.session),
    Check("offset metadata", ("credentials",), cluster.metadata),
    Check("host name", ("group",), cluster.host),
    Check("clock", ("topics",), topics.clock),
    Check("schema registry", ("configuration",), registry),
)


def examine(facts: Facts) -> List[Outcome]:
    """All checks in their order. One that rests on another which failed, or was skipped, is skipped."""
    found: Dict[str, Verdict] = {}
    for check in CHECKS:
        missing = [name for name in check.needs if found[name].state in (State.FAIL, State.SKIPPED)]
        found[check.name] = Verdict(State.SKIPPED, f"needs: {', '.join(missing)}") if missing else check.judge(facts)
    return [(check, found[check.name]) for check in CHECKS]
