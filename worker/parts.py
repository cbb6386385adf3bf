"""What one consumer process is made of. `build` puts it together; what has to wait for the slot's lock (journal, recovery, the
client) the consumer thread makes itself."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from kafka_worker.draining.ongoing import Ongoing
from kafka_worker.draining.settling import Settling
from kafka_worker.draining.stopping import Stopping
from kafka_worker.gates.gates import Gates
from kafka_worker.kafka.incoming.backpressure import Backpressure
from kafka_worker.kafka.incoming.prefetch import Prefetch
from kafka_worker.outcomes.decisions import Decisions
from kafka_worker.pools.runner import Runner
from kafka_worker.recovery.follow_up import FollowUp
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.quarantine import Quarantine


class Parts(NamedTuple):
    """All belong to the consumer thread, but for the pool's and the quarantine's threads, and `stopping`, which the main
    thread sees."""

    pool: Runner
    quarantine: Quarantine
    gates: Gates
    decisions: Decisions
    backpressure: Backpressure
    prefetch: Prefetch
    settling: Settling
    ongoing: Ongoing
    stopping: Stopping
    topics: List[str]  # to subscribe to; patterns too
    consumer_properties: Dict[str, Any]
    follow_up: FollowUp
    open_journal: Callable[[], Optional[Journal]]  # called when the slot's lock is held; None: there is none
