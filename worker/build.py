"""Puts the parts of one consumer process together: what there is, and what each of them gets. Nothing runs yet, and nothing
touches the network or the slot's files."""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from kafka_worker.draining.settling import Settling
from kafka_worker.draining.stopping import Stopping
from kafka_worker.gates.gates import Gates
from kafka_worker.handler.lives import Hooks
from kafka_worker.handler.routing import Handlers
from kafka_worker.kafka.incoming.backpressure import Backpressure
from kafka_worker.kafka.incoming.prefetch import Prefetch
from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.kafka.outgoing.transactions import AnyOutbox, Transactions
from kafka_worker.kafka.outgoing.transactor import Transactor
from kafka_worker.kafka.properties import Member, consumer_properties, may_owe_a_rejoin, member_name, producer_properties
from kafka_worker.kafka.tokens import Tokens, with_tokens
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.decisions import Decisions
from kafka_worker.outcomes.retry import RetryPolicy, policies
from kafka_worker.parts import Parts
from kafka_worker.pools import composite
from kafka_worker.pools.runner import Runner
from kafka_worker.recovery.follow_up import FollowUp
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import routes
from kafka_worker.shared.ipc.stage import StageHolder
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from kafka_worker.upkeep.time_limits import TimeLimits
from kafka_worker.upkeep.upkeep import Upkeep

OpenJournal = Callable[[], Optional[Journal]]


class Process(NamedTuple):
    """What the main thread starts, asks and looks after."""

    pool: Runner
    quarantine: Quarantine
    loop: ConsumerLoop
    upkeep: Upkeep
    time_limits: TimeLimits


def process(
    settings: Settings,
    slot: int,
    handlers: Handlers,
    hooks: Hooks,
    stage: StageHolder,
    open_journal: OpenJournal,
    tokens: Optional[Tokens] = None,
) -> Process:
    """The process of a slot, with these handlers, whose clients sign in by `tokens`. `open_journal` is called when the slot's
    lock is held."""
    pool = composite.build(settings, handlers, hooks)
    suspects = SuspectsFile(settings)
    quarantine = Quarantine(settings, slot, pool, suspects)
    chance = random.SystemRandom().random  # a handler's `random.seed(0)` would have all processes wait alike
    retries, member = policies(settings, chance), Member(settings.host, slot)
    owes = may_owe_a_rejoin(consumer_properties(settings, member_name(*member)))
    follow_up = FollowUp(runtime_files.slot_follow_up(settings, slot) if owes else "")
    made = parts(settings, pool, quarantine, retries, member, open_journal, tokens=tokens, follow_up=follow_up)
    loop = ConsumerLoop(settings, made, stage)
    return Process(pool, quarantine, loop, Upkeep(settings, pool, chance=chance), TimeLimits(settings, loop.running, suspects))


def parts(
    settings: Settings,
    pool: Runner,
    quarantine: Quarantine,
    retries: Mapping[str, RetryPolicy],
    member: Member,
    open_journal: OpenJournal = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    outbox: Optional[AnyOutbox] = None,
    tokens: Optional[Tokens] = None,
    follow_up: Optional[FollowUp] = None,
) -> Parts:
    """What the consumer thread works with, beside these. `retries`: when to try again, by topic; `member`: who we are, for the
    broker and in dead letters."""
    name = member_name(*member)
    gates = Gates(settings, pool, routes.naming(settings), clock, quarantine.threads)
    outbox = outbox or _outbox(settings, with_tokens(producer_properties(settings, name), tokens), clock)
    decisions = Decisions(settings, retries, pool, outbox, member, clock, quarantine, gates, wall)
    stopping, backpressure = Stopping(), Backpressure(settings, clock)
    settling = Settling(pool, quarantine, decisions, clock)
    decisions.taken_over = settling.ongoing.taken_over
    return Parts(
        pool=pool,
        quarantine=quarantine,
        gates=gates,
        decisions=decisions,
        backpressure=backpressure,
        prefetch=Prefetch(settings, backpressure, pool, clock),
        settling=settling,
        ongoing=settling.ongoing,
        stopping=stopping,
        topics=list(dict.fromkeys([*settings.topics, *decisions.sleeping.topics])),
        consumer_properties=with_tokens(consumer_properties(settings, name), tokens),
        follow_up=follow_up or FollowUp(""),
        open_journal=open_journal,
    )


def _outbox(settings: Settings, properties: Dict[str, Any], clock: Callable[[], float]) -> AnyOutbox:
    return Transactions(Transactor(properties), clock) if settings.delivery == "exactly-once" else Outbox(properties, clock)
