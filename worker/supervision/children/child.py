"""One child process, from the supervisor's side: spawned, heard, asked, killed, reaped."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from enum import Enum
from typing import Callable, Dict, FrozenSet, List, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode, described
from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.ipc.orders import Orders, as_rows
from kafka_worker.shared.ipc.snapshot import ChildReport, Stage, from_json
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.shared.output.last_words import LastWords
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.states import StateMachine
from kafka_worker.supervision.children.prepared import Prepared

log = logs.logger(__name__)

_CLOSING = (Stage.CLOSING, Stage.CLOSED)
MOST_ANSWERS = 32  # that are kept for whoever has asked
START_SECONDS = 600.0  # for the import of the handler: the slowest known, of large models, take a minute or two


class ChildState(str, Enum):
    """What the supervisor thinks of a child."""

    STARTING = "starting"  # spawned; imports the handler
    RUNNING = "running"  # ready: works, or waits for its slot's former child to close
    STOPPING = "stopping"  # was asked to end
    ABORTING = "aborting"  # hung: was sent SIGABRT, SIGKILL follows
    EXITED = "exited"  # reaped


TRANSITIONS: Dict[ChildState, FrozenSet[ChildState]] = {
    ChildState.STARTING: frozenset({ChildState.RUNNING, ChildState.STOPPING, ChildState.ABORTING, ChildState.EXITED}),
    ChildState.RUNNING: frozenset({ChildState.STOPPING, ChildState.ABORTING, ChildState.EXITED}),
    ChildState.STOPPING: frozenset({ChildState.ABORTING, ChildState.EXITED}),
    ChildState.ABORTING: frozenset({ChildState.EXITED}),
    ChildState.EXITED: frozenset(),
}


def begin(prepared: Prepared, settings: Settings, orders: Orders, slot: int, now: float, awake: float) -> Child:
    """Put it to work. Settings go over the channel: secrets never stand on a command line."""
    child = Child(slot, *prepared, now, awake)
    child.orders = orders
    child.channel.send({"settings": settings.to_json(), "orders": as_rows(orders)})
    return child


class Child:
    """A process and what is known of it. Ages are measured in the supervisor's awake seconds (see `awake`)."""

    def __init__(
        self, slot: int, process: subprocess.Popen[bytes], channel: Channel, words: LastWords, now: float, awake: float
    ) -> None:
        """The process was spawned just now."""
        self.slot = slot
        self.pid = process.pid
        self.channel = channel
        self._words = words
        self.started_at = now
        self.report: Optional[ChildReport] = None
        self.status: Optional[int] = None  # exit status, once reaped; negative: the signal that killed it
        self.kill_at: Optional[float] = None  # in the supervisor's awake seconds
        self.orders: Orders = ()  # of operators, as it was told
        self._orders_told = 1  # how often; the first ones come with its settings
        self._process = process
        self._state = StateMachine(f"slot {slot}: a child", TRANSITIONS, self._note)
        self._heard_at = awake
        self._aborted = False
        self._asked = 0  # questions
        self._answers: Dict[int, Message] = {}  # that nobody has taken yet, by number of question
        self.joined = False  # it is, or has been, in the group
        self.why = ""  # once reaped: what it was doing, or why it gave up, as far as it has left word

    @property
    def state(self) -> ChildState:
        """What the supervisor thinks of it now."""
        return self._state.now

    def move(self, to: ChildState) -> None:
        """Change the state. Raises ValueError for a move that the table does not know."""
        self._state.move(to)

    def _note(self, move: str) -> None:
        log.debug("slot %d, pid %d: %s", self.slot, self.pid, move)

    def hear(self, awake: float, work: WorkOfAll) -> List[Message]:
        """Take in the heartbeats that have come, and add what it has done to `work`. Returns the events that it tells of."""
        events: List[Message] = []
        self.channel.flush()
        for message in self.channel.receive():
            if "answer" in message:
                self._answers[message["number"]] = message["answer"]
                while len(self._answers) > MOST_ANSWERS:  # whoever asked is gone, or was answered without it
                    del self._answers[min(self._answers)]
                continue
            self.report = from_json(ChildReport, message["report"])
            self._heard_at = awake
            self.joined = self.joined or self.report.joined
            work.hear(self.pid, self.report.work)
            events += message.get("events", ())
        if self.state is ChildState.STARTING and self.stage not in (None, Stage.STARTING):
            self.move(ChildState.RUNNING)
        return events

    def ask(self, question: Message) -> Callable[[], Optional[Message]]:
        """Ask it something. What is returned gives the answer, once, when it has come."""
        self._asked += 1
        number = self._asked
        self.channel.send({"ask": question, "number": number})
        return lambda: self._answers.pop(number, None)

    def order(self, orders: Orders) -> None:
        """Tell it what operators have ordered, if that is new."""
        if self.orders is not orders:
            self.orders = orders
            self._orders_told += 1
            self.channel.send({"orders": as_rows(orders)})

    def goes_by(self, orders: Orders) -> bool:
        """Whether it already knew these when it last spoke. One that has said nothing begins with them, and one that closes
        needs none."""
        if self.report is None or self.stage in _CLOSING:
            return True
        return self.orders is orders and self.report.orders_known >= self._orders_told

    @property
    def stage(self) -> Optional[Stage]:
        """How far it says it has come; None before its first heartbeat."""
        return self.report.stage if self.report else None

    def heartbeat_age(self, awake: float) -> float:
        """Awake seconds since it was last heard."""
        return awake - self._heard_at

    def hangs(self, awake: float, timeout: float) -> Optional[str]:
        """Why it counts as hung, or None. The user's imports may take their time, but not for ever (a hook that waits for a
        database may: its process is heard meanwhile, and ending it would mend nothing); a poll loop that does not turn harms
        the whole group, whose commits wait for it whenever somebody joins."""
        if self.state is ChildState.STARTING and self.heartbeat_age(awake) > START_SECONDS:
            return f"it has not imported the handler within {self.heartbeat_age(awake):.0f} s"
        if self.state is ChildState.RUNNING and self.heartbeat_age(awake) > timeout:
            return f"no heartbeat for {self.heartbeat_age(awake):.1f} s"
        report = self.report
        if self.state is ChildState.RUNNING and report and report.stage is Stage.CONSUMING and report.poll_age > timeout:
            return f"its poll loop has not turned for {report.poll_age:.1f} s"
        return None

    def stop(self, *, leave: bool, kill_at: float, seconds: Optional[float] = None) -> None:
        """Ask it to drain and end by `kill_at` (in awake seconds). `leave`: give up the seat in the group. `seconds`:
        drain no longer than this. The signal is for a child that does not listen to its channel yet."""
        if self.state in (ChildState.STARTING, ChildState.RUNNING):
            self.move(ChildState.STOPPING)
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        self.channel.send({"stop": {"leave": leave, **({} if seconds is None else {"seconds": seconds})}})
        self.signal(signal.SIGTERM)

    def abort(self, kill_at: float) -> None:
        """It hangs: make it print its stacks and die, and kill it at `kill_at` if it can't even do that."""
        self.move(ChildState.ABORTING)
        self._aborted = True
        self.kill_at = kill_at
        self.signal(signal.SIGABRT)

    @property
    def hung(self) -> bool:
        """Whether it was found to hang, or has said that a call in it does."""
        return self._aborted or bool(self.report and self.report.hung)

    def kill(self) -> None:
        """End the process by force."""
        self.kill_at = None
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal, unless it was reaped already (its pid may belong to somebody else by now)."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def exit_code(self) -> int:
        """Its exit status; 0 only if it has said that it closed in order. (One that calls `os._exit(0)` has not.)"""
        if self.status == ExitCode.OK and self.stage is not Stage.CLOSED:
            return ExitCode.FAULT
        return ExitCode.FAULT if self.status is None else self.status

    @property
    def at(self) -> str:
        """What of the user's it is at while it starts, as it has left word: an import may hang for ten minutes."""
        return self._words.how("") if self.state is ChildState.STARTING else ""

    @property
    def how(self) -> str:
        """How it ended, in words, and why, if it has left word."""
        return described(self.exit_code()) + self.why

    def _ran(self) -> str:
        """What it ran. (The next one knows that exactly, with a journal.)"""
        tasks = self.report.tasks if self.report else ()
        if self.status == ExitCode.OK or not tasks:
            return ""
        more = f" and {len(tasks) - 1} more" if tasks[1:] else ""
        return ", and at its last heartbeat ran {0.topic}[{0.partition}] offset {0.offset}".format(tasks[0]) + more

    def reap(self) -> bool:
        """Whether it has ended; if so, `status` is set. The channel is still open: last words may be in it."""
        self.status = self._process.poll()
        if self.status is None:
            return False
        self.move(ChildState.EXITED)
        stacks, self.why = self._words.read(), self._words.how("") or self._ran()
        self._words.close()
        if stacks:
            log.error(
                "slot %d: process %d has left the stacks of its threads",
                self.slot, self.pid, extra=about(Event.PROCESS_STACKS, slot=self.slot, stack=stacks),
            )  # fmt: skip
        return True
