"""A consumer loop on a bench: scripts for its group, and an account of what its handler was called with."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from kafka_worker import build, loop
from kafka_worker.draining.stopping import Stop
from kafka_worker.handler.loading import Call
from kafka_worker.kafka.properties import Member
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.retry import RetryPolicy
from kafka_worker.partitions import commits
from kafka_worker.partitions.assignment import Partition
from kafka_worker.parts import Parts
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.follow_up import FollowUp
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.shared.topic_settings import ByTopic
from tests.support.ending import started
from tests.support.stages import consuming
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step, some_settings

OURS = (TOPIC, 0)


class _Delays(RetryPolicy):
    """The delay stands in the error: by the number it was made with."""

    def __init__(self, delays: Dict[int, float]) -> None:
        self._delays = delays

    def delay(self, error: BaseException, attempt: int, age: float = 0.0) -> Optional[float]:
        return self._delays[int(str(error))]


class Bench:
    """Runs one loop in the caller's thread. `call` is the handler; what it is called with and what it finished is noted."""

    def __init__(self, monkeypatch: Any) -> None:
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(commits, "SOON", 60.0)  # no commits but those that a test is about
        monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)  # in each turn
        self.call: Call = lambda *_: None
        self.pool: Callable[[Call], Pool] = lambda call: Pool(2, call)
        self.quarantine: Callable[..., Quarantine] = Quarantine
        self.calls: List[int] = []
        self.done: Set[int] = set()
        self.delays: Dict[int, float] = {}
        self.follow_up = FollowUp("")
        self.played = False  # the whole script
        self.group: ScriptedGroup
        self.parts: Parts
        self.loop: ConsumerLoop

    def play(self, *steps: Step, **changes: Any) -> ExitCode:
        """From joining to the end, with these steps as fetches and these settings."""
        self.group = ScriptedGroup(*steps, self._note_the_end)
        self._monkeypatch.setattr(loop, "create_member", self.group)
        stage = consuming()
        settings = some_settings(**{"commit_interval_seconds": 60.0, "drain_seconds": 10.0, **changes})
        with started(self.pool(self._noted)) as pool:
            quarantine = self.quarantine(settings, 0, pool, SuspectsFile(None))
            self.parts = build.parts(
                settings, pool, quarantine, ByTopic(settings.of, lambda _own: _Delays(self.delays)), Member("host", 0),
                follow_up=self.follow_up,
            )  # fmt: skip
            self.loop = ConsumerLoop(settings, self.parts, stage)
            self.group.stop = self.loop.stop
            return self.loop.consume_messages()

    @property
    def committed(self) -> int:
        """The last offset committed; -1: none."""
        return self.group.commits[-1][2] if self.group.commits else -1

    def _noted(self, message: Message, partition: Partition, attempt: int) -> Any:
        self.calls.append(message.offset())
        result = self.call(message, partition, attempt)
        self.done.add(message.offset())
        return result

    def _note_the_end(self, _group: ScriptedGroup) -> List[Message]:
        self.played = True
        return []


def assign() -> Step:
    return lambda group: group.listener.on_assigned([OURS]) or []  # type: ignore[func-returns-value]


def revoke() -> Step:
    return lambda group: group.listener.on_revoked([OURS]) or []  # type: ignore[func-returns-value]


def lose() -> Step:
    return lambda group: group.listener.on_lost([OURS]) or []  # type: ignore[func-returns-value]


def deliver(*offsets: int) -> Step:
    return lambda _group: [Message(offset) for offset in offsets]


def until(condition: Callable[[], object]) -> Step:
    """Go on when the condition holds."""
    return lambda _group: [] if condition() else None


def stop(*, leave: bool = False, seconds: float = 10.0) -> Step:
    def ask(group: ScriptedGroup) -> List[Message]:
        group.stop(Stop(Deadline(seconds), leave=leave))
        return []

    return ask
