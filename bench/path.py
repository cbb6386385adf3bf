"""The way of a message that takes no time, in one thread and without a broker: delivered, taken, queued, decoded, handled,
marked, committed. What runs is the consumer loop with all of its parts, and the loop of a handler thread in its breaks; clocks
stand still while messages are on their way. So what is counted of it is the same each time, on each machine.

`python -m bench.path MESSAGES` goes that way and counts nothing: for `make instructions`."""

from __future__ import annotations

import gc
import sys
from types import CodeType, FrameType
from typing import Any, List, Optional, cast

from kafka_worker import build
from kafka_worker.draining.stopping import Stop
from kafka_worker.handler import loading
from kafka_worker.kafka.properties import Member
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.retry import policies
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.system.deadline import Deadline
from tests.support.stages import consuming
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step, some_settings

BATCH = 250
KEYS = 100
TURN_SECONDS = 0.01  # of the clock, between two fetches


def nothing(_message: object) -> None:
    """The handler."""


class Counter:
    """Counts Python's instructions, but those of what plays Kafka."""

    def __init__(self) -> None:
        self.count = 0
        self.counting = False

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Optional[Counter]:
        """The trace function: of a frame that begins, then of its instructions."""
        if event == "call":
            if _played(frame.f_code):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode" and self.counting:
            self.count += 1
        return self


def _played(code: CodeType) -> bool:
    return code.co_filename in (__file__, Message.topic.__code__.co_filename)


class Way:
    """So many messages of one partition on their way."""

    def __init__(self, ordering: str, messages: int, partitions: int = 1) -> None:
        """`ordering`: as in the settings. Of the other partitions nothing comes."""
        self._partitions = partitions
        settings = some_settings(ordering=ordering, threads=1, threads_max=1)
        self.counter = Counter()
        self._now = 1000.0
        self._pool = Pool(1, loading.ready(nothing, "nothing", "the bench", settings).call)
        self._pool.clock = self._clock
        self._thread = HandlerThread("handler-0")
        parts = build.parts(
            settings, self._pool, Quarantine(settings, 0, self._pool, SuspectsFile(None)),
            policies(settings, lambda: 1.0), Member("host", 0), clock=self._clock,
        )  # fmt: skip
        batches = [self._delivered(first) for first in range(0, messages, BATCH)]
        between = [step for batch in batches for step in (batch, self._handled)]
        group = ScriptedGroup(self._assigned, lambda _group: [], self._told, *between, self._stopped)
        self._loop = ConsumerLoop(settings, parts, consuming(), self._clock, cast("Any", group))

    def go(self) -> int:
        """All the way; how many are done."""
        self._loop.consume_messages()
        return self._thread.done

    def count(self) -> int:
        """All the way, with its instructions counted from the first message to the last. Nothing is collected meanwhile: what
        somebody else left may have finalizers, and their instructions would count."""
        former, collects = sys.gettrace(), gc.isenabled()
        gc.disable()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 counts them only where somebody has asked before `settrace`
        sys.settrace(self.counter)
        try:
            self.go()
        finally:
            sys.settrace(former)
            if collects:
                gc.enable()
        return self.counter.count

    def _clock(self) -> float:
        return self._now

    def _assigned(self, group: ScriptedGroup) -> List[Message]:
        group.listener.on_assigned([(TOPIC, number) for number in range(self._partitions)])
        return []

    def _told(self, _group: ScriptedGroup) -> List[Message]:
        """What is ours is reported, and its topics are looked at: now and then, however many messages come."""
        self.counter.counting = True
        return []

    def _delivered(self, first: int) -> Step:
        def step(_group: ScriptedGroup) -> List[Message]:
            self._now += TURN_SECONDS
            offsets = range(first, first + BATCH)
            return [Message(offset, b"key-%d" % (offset % KEYS), b'{"id": %d}' % offset) for offset in offsets]

        return step

    def _handled(self, _group: ScriptedGroup) -> List[Message]:
        """What a handler thread does meanwhile."""
        served = self._pool._served
        for turn in served.filled(0):
            while self._pool._serve_one(self._thread, served.queue(turn).pop):
                pass
        self._now += TURN_SECONDS
        return []

    def _stopped(self, _group: ScriptedGroup) -> List[Message]:
        self.counter.counting = False
        self._loop.stop(Stop(Deadline(10.0, self._clock), leave=False))
        return []


def instructions(ordering: str, messages: int, partitions: int = 1) -> int:
    """Of so many messages on their way. From Python 3.13 on code tells of its instructions from its second run on, so a few go
    first."""
    Way(ordering, BATCH, partitions).count()
    return Way(ordering, messages, partitions).count()


def main() -> None:
    """The command."""
    ordering, messages = sys.argv[1], int(sys.argv[2])
    done = Way(ordering, messages).go()
    assert done == messages, f"{done} of {messages} are done"


if __name__ == "__main__":
    main()
