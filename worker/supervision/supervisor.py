"""The parent's story, read top to bottom: spawn, watch, restart, roll, stop.

It runs in one thread, opens no Kafka client, and waits for nothing but its selector: whatever can hang lives in a child, or
beside it (`aside`).
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import random
import selectors
import signal
import time
from enum import Enum
from typing import Callable, ClassVar, Dict, FrozenSet, List, Mapping

from kafka_worker.shared import logs, routes
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode, described
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc import health
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.states import StateMachine
from kafka_worker.shared.system import machine, orphans, room, runtime_files
from kafka_worker.shared.system.awake import AwakeClock
from kafka_worker.shared.system.signals import SignalInbox
from kafka_worker.supervision import preflight
from kafka_worker.supervision.aside import START_SECONDS, within
from kafka_worker.supervision.callers.desk import Desk
from kafka_worker.supervision.callers.http_process import HttpProcess
from kafka_worker.supervision.children.child import Child
from kafka_worker.supervision.children.children import Children
from kafka_worker.supervision.children.leftovers import LOOK_SECONDS
from kafka_worker.supervision.children.prepared import First
from kafka_worker.supervision.premises import Premises
from kafka_worker.supervision.slots.recycling import RecyclingSchedule
from kafka_worker.supervision.slots.restart_policy import RestartPolicy
from kafka_worker.supervision.slots.rolling_restart import RECYCLING, RollingRestart
from kafka_worker.supervision.slots.slot import Slot
from kafka_worker.supervision.slots.slot_selector import SlotSelector
from kafka_worker.supervision.systemd import Notifier

log = logs.logger("supervisor")

CLOSE_SECONDS = 2.5  # beyond the drain deadline, until a child that did not end by itself is killed
SAME_WISH_SECONDS = 0.5  # a SIGINT and another signal so soon are one wish
HURRIED_DRAIN_SECONDS = 0.0  # after a second signal: what is done is still committed, nothing more is waited for
SPAWN_AGAIN_SECONDS = 5


class State(str, Enum):
    """How far the supervisor has come with its service."""

    STARTING = "starting"  # until every slot's process has imported the handler once
    RUNNING = "running"
    ROLLING = "rolling"  # a rolling restart is under way
    STOPPING = "stopping"


TRANSITIONS: Dict[State, FrozenSet[State]] = {
    State.STARTING: frozenset({State.RUNNING, State.STOPPING}),
    State.RUNNING: frozenset({State.ROLLING, State.STOPPING}),
    State.ROLLING: frozenset({State.RUNNING, State.STOPPING}),
    State.STOPPING: frozenset(),
}


class Supervisor:
    """The parent's story, in order."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], premises: Premises, first: First) -> None:
        """Take over signals and the control socket; no child yet. The caller holds the lock of the premises. `first`: a
        process for slot 0 that is there already."""
        self._settings = settings
        self._state = StateMachine("the supervisor", TRANSITIONS, self._note)
        now = time.monotonic()
        self._awake = AwakeClock(now)
        self._code = ExitCode.OK
        self._slots = {number: Slot(number, now) for number in range(settings.processes)}
        self._recycling = RecyclingSchedule(settings)
        self._oom_kills = machine.OomKills()
        self._wish = 0, -math.inf  # the first signal to stop, and when it came
        self._policy = RestartPolicy(
            settings.restart_limit, settings.restart_window_seconds, settings.session_seconds, random.random
        )
        self._notifier = Notifier(environment, os.getpid())
        self._selector = selectors.DefaultSelector()
        self._inbox = SignalInbox([*self.REACTIONS, signal.SIGCHLD])
        self._selector.register(self._inbox, selectors.EVENT_READ)
        self._slot_selector = SlotSelector(self._selector)
        self._http = HttpProcess(settings, environment, self._selector)
        work = WorkOfAll()
        self._desk = desk = Desk(
            settings, self._selector, lambda: self._state.now.value, self._awake, self._slots, self._http, work, premises,
            lambda: self._roll.conditions(),  # noqa: PLW0108 (it comes after)
        )  # fmt: skip
        self._premises = premises
        self._children = Children(
            settings, environment, first, self._selector, work, desk.recent.hear, lambda: desk.standing.orders
        )
        self._roll = RollingRestart(self._children.spawn, settings.drain_seconds + CLOSE_SECONDS)
        self._rolls_next = False

    def run(self) -> ExitCode:
        """Run until stopped; the exit code says how that went."""
        log.info(
            "Starting %s with %s each (group %s, topics %s, handler %s)",
            counted(self._settings.processes, "process"), counted(self._settings.threads, "thread"), self._settings.group_id,
            ", ".join(self._settings.topics), routes.described(self._settings),
            extra=about(Event.SERVICE_STARTING),
        )  # fmt: skip
        while True:
            now = time.monotonic()
            awake = self._awake.tick(now)
            self._slot_selector.turn(now, ended=self._react())
            for slot in filter(self._slot_selector.selects, list(self._slots.values())):
                self._tend(slot, now, awake)
            self._desk.recent.hear(self._http.tend(now, awake))
            if self._slot_selector.everybody:
                orphans.reap({self._http.pid, *(child.pid for child in self._present())})
            all_gone = self._children.all_gone(awake)
            self._move_on(now, awake)
            self._desk.serve()
            if not self._premises.check():
                log.error("Another supervisor runs this group here by now: stopping", extra=about(Event.SUPERVISOR_REFUSED))
                self._stop(ExitCode.GAVE_UP)
            self._tell_systemd(now)
            if self._state.now is State.STOPPING and all_gone and all(slot.empty for slot in self._slots.values()):
                break
            self._slot_selector.wait(now, self._patience(now) if all_gone else LOOK_SECONDS)
        self._premises.leave()
        self._http.end()
        log.info("Stopped: %s", described(self._code), extra=about(Event.SERVICE_STOPPED, reason=described(self._code)))
        return self._code

    def _react(self) -> bool:
        """React to the signals that have come, some perhaps before anything was started. Whether a process may have ended."""
        numbers = self._inbox.take()
        for number in numbers:
            if number in self.REACTIONS:
                name = signal.Signals(number).name
                log.info("%s received", name, extra=about(Event.SIGNAL_RECEIVED, reason=name))
                self.REACTIONS[number](self)
        return signal.SIGCHLD in numbers

    def _present(self) -> List[Child]:
        return [child for slot in self._slots.values() for child in (slot.child, slot.successor) if child]

    def _move_on(self, now: float, awake: float) -> None:
        """Go to the next state, if all is done in this one."""
        if self._state.now is State.STARTING and all(slot.filled for slot in self._slots.values()):
            self._state.move(State.RUNNING)
            self._notifier.ready()
            if self._rolls_next:
                self.handle_sighup()
        if self._state.now is State.RUNNING and self._slot_selector.everybody:
            self._recycle(now)
        if self._state.now is State.ROLLING and self._roll.step(self._slots, now, awake):
            self._end_roll(now)

    # ---- one slot -------------------------------------------------------------------------------------------------

    def _tend(self, slot: Slot, now: float, awake: float) -> None:
        """Everything that may be due for a slot, in this order: what ended is seen before what is missing is started."""
        for child in filter(None, (slot.child, slot.successor)):
            self._children.hear(child, awake)
            slot.abort_if_hung(child, awake, self._settings.heartbeat_timeout_seconds)
            slot.kill_if_overdue(child, awake)
        ended = slot.reap()
        if ended is not None:
            self._children.forget(ended, awake)
            self._after_exit(slot, ended, now)
        ended = slot.reap_successor()
        if ended is not None:
            self._children.forget(ended, awake)
            if self._state.now is State.STOPPING or slot.retiring:  # it was asked to end
                self._after_exit(slot, ended, now)
            else:
                self._roll.successor_failed(slot.number, ended)
        if slot.start_at is not None and now >= slot.start_at:
            slot.start_at = None
            try:
                slot.child = self._children.spawn(slot.number, now, awake)
            except OSError as problem:  # no memory, no process, no descriptor: that may pass
                slot.start_at = now + SPAWN_AGAIN_SECONDS
                log.warning(
                    "slot %d: no process can be started, soon again: %s%s",
                    slot.number, problem, room.lack(self._settings), extra=about(Event.PROCESS_NOT_STARTED, slot=slot.number),
                )  # fmt: skip

    def _after_exit(self, slot: Slot, child: Child, now: float) -> None:
        """A child has ended: by our wish, by its own, or by accident."""
        status_code = child.exit_code()
        slot.last_exit, slot.last_why = described(status_code), child.why
        if self._state.now is State.STOPPING:
            slot.tell_end(child)
            if status_code not in (ExitCode.OK, -signal.SIGTERM) and self._code is ExitCode.OK:
                self._code = ExitCode.GAVE_UP
            return
        if slot.retiring:
            slot.tell_end(child, "; the slot is gone")
            if slot.empty:  # a successor of a rolling restart may still be on its way out
                del self._slots[slot.number]
            return
        if slot.child is not None:
            slot.record.reasons[self._roll.reason] += 1
            slot.tell_end(child, f"; process {slot.child.pid} takes over")
            return
        slot.record.count(status_code, hung=child.hung, out_of_memory=self._oom_kills.lately(now))
        if status_code == ExitCode.CONFIGURATION and self._proven:
            status_code = ExitCode.FAULT
        delay = self._policy.delay(slot.record, status_code, now - child.started_at, now)
        if delay is None:
            self._give_up(slot, status_code)
            return
        if status_code == ExitCode.OK:
            slot.tell_end(child, f"; next start in {delay:.2f} s")
        else:
            slot.tell_end(child, f"; next start in {delay:.2f} s ({self._policy.patience})", logging.ERROR)
        slot.start_at = now + delay

    @property
    def _proven(self) -> bool:
        """Whether processes have worked with these settings: one that refuses them now has a trouble of its own."""
        return self._state.now is not State.STARTING and any(slot.has_joined for slot in self._slots.values())

    def _give_up(self, slot: Slot, status_code: int) -> None:
        if status_code == ExitCode.CONFIGURATION:
            log.error(
                "slot %d: its process refuses the configuration: stopping, a restart would not help",
                slot.number, extra=about(Event.GIVEN_UP, slot=slot.number),
            )  # fmt: skip
            self._stop(ExitCode.CONFIGURATION)
        else:
            last = f"{slot.last_exit}{slot.last_why}"
            log.error(
                "More than %d restarts in %.0f s (last: slot %d, %s): giving up",
                self._settings.restart_limit, self._settings.restart_window_seconds, slot.number, last,
                extra=about(Event.GIVEN_UP, slot=slot.number, reason=last),
            )  # fmt: skip
            self._stop(ExitCode.GAVE_UP)

    # ---- rolling restart ------------------------------------------------------------------------------------------

    def handle_sighup(self) -> None:
        """Restart all processes, one slot after the other; if they are still starting, as soon as they have: some may have
        imported what is old by now."""
        if self._state.now is State.STARTING:
            self._rolls_next = bool(self._present())
        if self._state.now is State.RUNNING:
            self._state.move(State.ROLLING)
        if self._state.now is State.ROLLING:
            self._notifier.reloading(time.monotonic())
            self._roll.begin(sorted(self._slots))

    def _recycle(self, now: float) -> None:
        """Replace one process that asks for it. To systemd that is no reload: nobody waits for its end."""
        number = self._recycling.due(self._slots, now)
        if number is not None:
            self._state.move(State.ROLLING)
            self._roll.begin([number], RECYCLING)

    def _end_roll(self, now: float) -> None:
        log.info("%s: %s", self._roll.name, self._roll.outcome, extra=about(Event.ROLL_ENDED, reason=self._roll.outcome))
        self._recycling.ended(self._roll.outcome, now)
        self._state.move(State.RUNNING)
        self._notifier.ready()

    # ---- more, fewer, none ----------------------------------------------------------------------------------------

    def handle_sigttin(self) -> None:
        """One process more, in the lowest free slot."""
        if self._state.now is not State.STOPPING:
            number = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
            self._slots[number] = Slot(number, time.monotonic())

    def handle_sigttou(self) -> None:
        """One process less: the highest slot, which leaves the group. The last one stays."""
        staying = sorted(number for number, slot in self._slots.items() if not slot.retiring)
        if self._state.now is State.STOPPING:
            return
        if len(staying) <= 1:
            log.info("slot %d: its process is the last one, and stays", staying[0], extra=about(Event.SIGNAL_RECEIVED))
            return
        slot = self._slots[staying[-1]]
        slot.retiring = True
        slot.stop(leave=True, kill_at=self._kill_at(self._settings.drain_seconds))
        if slot.child is None:
            del self._slots[slot.number]

    def handle_sigterm(self, number: int = signal.SIGTERM) -> None:
        """Stop in order; when we are stopping already, hurry."""
        now = time.monotonic()
        if self._state.now is not State.STOPPING:
            self._wish = number, now
            self._stop(ExitCode.OK)
            return
        if signal.SIGINT in (number, self._wish[0]) and now - self._wish[1] < SAME_WISH_SECONDS:
            return
        log.warning("Hurrying: what runs now is cut off and runs again", extra=about(Event.HURRIED))
        self._ask_all_to_stop(HURRIED_DRAIN_SECONDS)

    def handle_sigint(self) -> None:
        """The same. But a terminal's Ctrl-C also reaches whoever started us, who may pass it on: that is no second wish."""
        self.handle_sigterm(signal.SIGINT)

    @staticmethod
    def _note(move: str) -> None:
        log.info("%s", move, extra=about(Event.SUPERVISOR_STATE))

    def _stop(self, code: ExitCode) -> None:
        if self._state.now is State.STOPPING:
            return
        self._code = code
        self._state.move(State.STOPPING)
        self._notifier.stopping()
        self._ask_all_to_stop(self._settings.drain_seconds)

    def _ask_all_to_stop(self, seconds: float) -> None:
        """Each child drains, commits, and leaves the group, so that other hosts have its partitions at once."""
        for slot in self._slots.values():
            slot.stop(leave=True, kill_at=self._kill_at(seconds), seconds=seconds)

    def _kill_at(self, drain_seconds: float) -> float:
        """In awake seconds: a child that was frozen together with us, as with the whole machine, keeps all its time to end by
        itself."""
        return self._awake.tick(time.monotonic()) + drain_seconds + CLOSE_SECONDS

    REACTIONS: ClassVar[Dict[int, Callable[[Supervisor], None]]] = {
        signal.SIGTERM: handle_sigterm,
        signal.SIGINT: handle_sigint,
        signal.SIGHUP: handle_sighup,
        signal.SIGTTIN: handle_sigttin,
        signal.SIGTTOU: handle_sigttou,
    }

    # ---- the loop ---------------------------------------------------------------------------------------------------

    def _tell_systemd(self, now: float) -> None:
        self._notifier.ping(now)
        self._oom_kills.check(now)
        if self._notifier.status_due(now):
            self._notifier.status(health.one_line(self._desk.snapshot()))
        if self._state.now in (State.ROLLING, State.STOPPING):
            self._notifier.extend(now)

    def _patience(self, now: float) -> float:
        """How long the loop may sleep: until something is due."""
        starts = [slot.start_at - now for slot in self._slots.values() if slot.start_at is not None]
        kills = [child.kill_at - self._awake.seconds for child in self._present() if child.kill_at is not None]
        return min([self._http.patience(now), *starts, *kills])


def run(settings: Settings, environment: Mapping[str, str], first: First) -> ExitCode:
    """Run the service until it is stopped. `first`: its first process, which may be there already."""
    # The SIGABRT of systemd's watchdog prints where we hang. No other stack: to write one while its thread runs may end us.
    faulthandler.enable(all_threads=False)
    try:
        premises = within(START_SECONDS, settings.runtime_directory, lambda: Premises(settings))
        if not premises.enter():
            return ExitCode.GAVE_UP
        supervisor = Supervisor(settings, environment, premises, first)
    except TimeoutError as problem:
        log.error("Nothing is started: %s%s", problem, room.lack(settings))  # noqa: TRY400 (a disk, and not a fault of ours)
        return ExitCode.GAVE_UP
    except (OSError, runtime_files.NoRoomError) as problem:
        log.error("RUNTIME_DIRECTORY %s can't be used now: %s", settings.runtime_directory, problem)  # noqa: TRY400
        return ExitCode.GAVE_UP
    except runtime_files.UnsafeDirectoryError as problem:
        return preflight.refuse([str(problem)])
    return supervisor.run()
