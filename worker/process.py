"""A child from spawn to exit code. This is the main thread: it takes signals and the supervisor's messages, sends heartbeats
and keeps deadlines. It never waits for the consumer thread or a handler without a limit, because either may hang, and it ends
the process by `os._exit`, because a thread that hangs can't be joined.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from typing import NoReturn, Optional, Set

from kafka_worker import build, start
from kafka_worker.draining.stopping import Stop
from kafka_worker.handler.decoding import quick_decoder
from kafka_worker.handler.hooks import Registry
from kafka_worker.handler.lives import Hooks
from kafka_worker.handler.loading import HandlerError
from kafka_worker.handler.routing import Handlers
from kafka_worker.heartbeat import Heartbeat
from kafka_worker.inquiries import Inquiries
from kafka_worker.isolation import isolated, spawn
from kafka_worker.isolation.task_process import TaskProcessError
from kafka_worker.kafka import tokens
from kafka_worker.partitions.task import facts_of, in_words, is_void
from kafka_worker.pools import composite
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.seat import Seat
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.foreign.functions import NoFunctionError
from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.ipc.orders import Orders, of_rows
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import NOT_JOINED, StageHolder
from kafka_worker.shared.ipc.startup import received
from kafka_worker.shared.leaving import leave
from kafka_worker.shared.output.last_words import because, write_last_words_to
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import machine, orphans, room, runtime_files, signals, surroundings
from kafka_worker.shared.system.deadline import Deadline

log = logs.logger(__name__)

HEARTBEAT_SECONDS = 0.5
CLOSE_SECONDS = 1.5  # beyond the drain deadline, for leaving the group and closing the client


def main() -> None:
    """Only the supervisor starts it: `--slot` gives its number, `--channel` the descriptor of a socket to the supervisor,
    `--words` that of the file for its last words."""
    flags = ("--slot", "--channel", "--words")
    slot, channel_number, last_words = (int(sys.argv[sys.argv.index(flag) + 1]) for flag in flags)
    write_last_words_to(last_words)  # SIGABRT, which a hung child gets, has it write the stacks of all threads
    channel = Channel(socket.socket(fileno=channel_number))
    quick_decoder()  # now, while we wait for the settings: it imports what nearly all handlers need
    first = received(channel)
    settings = Settings.from_json(first["settings"])
    logs.set_up(settings.log_level, settings.log_format, f"slot-{slot}", slot)
    if settings.core_dumps == "off":  # usually inherited, but not by a process that began before the setting was known
        machine.forbid_core_dumps()
    room.make(settings)  # likewise; what it lacks, the supervisor has told already
    room.keep_spare_files()
    start.users_first()
    child = ChildProcess(settings, slot, channel, of_rows(first["orders"]))
    try:
        code = child.run()
    except BaseException as problem:  # a handler has closed or replaced what is ours
        log.exception("The main thread ends by a fault", extra=about(Event.FAULT))
        because(quoted(problem))
        code = ExitCode.FAULT
    child.leave(code)


class ChildProcess:
    """The main thread's view of the process."""

    def __init__(self, settings: Settings, slot: int, channel: Channel, orders: Orders = ()) -> None:
        """Nothing runs yet. `orders`: those of operators that are in force."""
        self._orders = orders
        self._settings = settings
        self._slot = slot
        self._channel = channel
        self._stage = StageHolder()
        self._supervisor = os.getppid()
        self._code: Optional[ExitCode] = None
        self._hooks = Hooks(Registry([], []))  # none before the handler is imported
        self._tokens: Optional[tokens.Tokens] = None  # the same
        self._built = False
        self._journal: Optional[Journal] = None  # once the consumer thread has opened it
        self._seat = Seat(settings, slot)
        self._orphaned = False  # the supervisor is gone, and that is dealt with
        self._next_heartbeat = 0.0
        self._complaint = logs.Seldom(log, time.monotonic)
        self._until = 0.0  # monotonic seconds: the end of a drain, as it was wished
        self._inquiries = Inquiries()

    def run(self) -> ExitCode:
        """Import the handler, start the threads, and watch until the end."""
        # Until the handler is imported SIGTERM just kills: nothing is owed yet, and an import can take long.
        before = signals.reactions()
        try:
            handlers = isolated.handlers_of(self._settings, self._slot)
            self._tokens = tokens.of_settings(self._settings)
        except (HandlerError, NoFunctionError) as problem:
            log.error("%s", problem)  # noqa: TRY400 (the text is the message; a traceback would bury it)
            because(str(problem))
            return ExitCode.CONFIGURATION
        except TaskProcessError as problem:
            log.error("ISOLATION=process: %s", problem, extra=about(Event.NO_TASK_PROCESS))  # noqa: TRY400
            because(str(problem))
            return ExitCode.GAVE_UP
        signals.keep(before, tame=True)
        self._inbox = inbox = signals.SignalInbox([signal.SIGTERM])
        self._hooks = Hooks()
        self._build(handlers)
        gc.freeze()  # what is imported stays: looking through it again and again would cost 0.2 us a message
        for line in composite.described(self._settings, handlers):
            log.info("%s", line)
        threading.Thread(target=self._prepare, name="consumer", daemon=True).start()
        return self._watch(inbox)

    def _build(self, handlers: Handlers) -> None:
        self._pool, self._quarantine, self._loop, self._upkeep, self._time_limits = build.process(
            self._settings, self._slot, handlers, self._hooks, self._stage, self._open_journal, self._tokens
        )
        self._heartbeat = Heartbeat(self._stage, self._loop, self._pool, self._quarantine, self._upkeep, self._seat)
        self._loop.order(self._orders)  # before anything can start
        self._built = True

    def _prepare(self) -> None:
        """The consumer thread. Hooks come first: a process without what its handlers need takes no seat, and no partition."""
        try:
            if self._hooks.start() and self._pool.prepare() and self._loop.stopping is None:
                self._stage.move(Stage.WAITING)
                self._code = self._consume()
        except BaseException as problem:  # SystemExit too: it would end the thread without a word, and the process would hang
            log.exception("The consumer thread ends by a fault", extra=about(Event.FAULT))
            because(quoted(problem))
            self._code = ExitCode.FAULT

    def _open_journal(self) -> Optional[Journal]:
        if self._settings.journal == "off":
            return None
        try:
            journal = Journal(runtime_files.slot_journal(self._settings, self._slot))
            self._seat.journal_opened()
        except OSError as problem:
            log.warning(
                "No journal: %s. After a crash, what was done since the last commit runs again",
                problem, extra=about(Event.NO_JOURNAL),
            )  # fmt: skip
            self._seat.journal_missing()
            return None
        if self._settings.isolation == "none":  # else no task can have ended the process
            self._quarantine.blame(journal.suspects)
        journal.resolve()
        self._journal = journal
        return journal

    def _consume(self) -> ExitCode:
        """Its seat in the group is guarded by a lock of the slot: two live members with one id would fence each other while
        both go on working, so a successor waits here until its predecessor is dead."""
        self._seat.take()
        if self._loop.stopping is None:
            self._stage.move(Stage.CONSUMING)
        # Looked at again: `_ask_to_stop` sets the wish before it looks at the stage, so one of the two threads sees the other.
        if self._loop.stopping is not None:
            return ExitCode.OK
        self._pool.start()
        return self._loop.consume_messages()

    def _watch(self, inbox: signals.SignalInbox) -> ExitCode:
        with selectors.DefaultSelector() as selector:
            selector.register(inbox, selectors.EVENT_READ)
            selector.register(self._channel, selectors.EVENT_READ)
            while self._code is None and not self._overdue():
                selector.select(self._tick())
                if inbox.take():
                    self._ask_to_stop({})
                self._listen(selector)
                if self._time_limits.check():
                    self._heartbeat.hung = True
                    self._ask_to_stop({})
                self._heartbeat.poll_age()
                self._beat()
                for answer in self._inquiries.answers(self._loop):
                    self._channel.send(answer)
        code = self._cut() if self._code is None else self._code
        if self._journal is not None and not self._ended_by_handlers(code):
            self._journal.note_own_end()
        self._stage.move(Stage.CLOSED)
        self._channel.send(self._heartbeat.message())  # without it, exit 0 would not be believed
        if self._orphaned:  # else the supervisor does it
            orphans.end_left_behind(os.getpid(), leader_ends=True)
        return code

    def _ended_by_handlers(self, code: ExitCode) -> bool:
        """Whether what still runs may have caused the end: a fault (it used up the memory, or closed our descriptors), or a
        recycling for memory or files that cuts it off, and that every process after this one would come to as well."""
        return code is ExitCode.FAULT or (code is ExitCode.GAVE_UP and self._upkeep.outgrown)

    def leave(self, code: ExitCode) -> NoReturn:
        """End the task processes, then this one. What handlers have left for the end (`atexit`, a buffer) is done within the
        deadline, and before anybody takes us for hung."""
        rest = max(0.0, self._until - time.monotonic()) + CLOSE_SECONDS
        deadline = Deadline(min(rest, self._settings.heartbeat_timeout_seconds / 2))
        spawn.end_all(deadline)
        if self._built and code is not ExitCode.FAULT:
            self._hooks.stop(self._pool.stop, self._working, deadline.remaining())
        leave(code, deadline.remaining())

    def _working(self) -> Set[str]:
        return {thread.name for thread, _ in self._pool.running()}

    def _tick(self) -> float:
        """Short while something is about to end."""
        return 0.01 if self._loop.stopping else max(0.0, min(0.1, self._next_heartbeat - time.monotonic()))

    def _listen(self, selector: selectors.BaseSelector) -> None:
        if self._orphaned:
            return
        for message in self._channel.receive():
            if "stop" in message:
                self._ask_to_stop(message["stop"])
            elif "ask" in message:
                self._inquiries.ask(message["number"], message["ask"], self._loop)
            elif "orders" in message:
                self._loop.order(of_rows(message["orders"]))
        # The second look finds a supervisor that died while some stranger inherited its end of the channel.
        if not self._channel.readable or os.getppid() != self._supervisor:
            self._orphaned = True
            self._channel.leave(selector)
            self._channel.close()
            log.warning("The supervisor is gone: finishing what runs", extra=about(Event.SUPERVISOR_GONE))
            self._ask_to_stop({})

    def _ask_to_stop(self, wish: Message) -> None:
        """Begin to drain, or change how. A wish that says nothing of the seat keeps it: the signal came from somebody else,
        and the slot will be filled again."""
        former = self._loop.stopping
        deadline = former.deadline if former else Deadline(self._settings.drain_seconds)
        if "seconds" in wish:
            deadline.hurry(wish["seconds"])
        self._until = deadline.at
        self._loop.stop(Stop(deadline, leave=bool(wish.get("leave", former.leave if former else False))))
        if self._stage.now in NOT_JOINED:
            self._code = ExitCode.OK  # never joined: nothing is owed to anybody

    def _overdue(self) -> bool:
        stop = self._loop.stopping
        return stop is not None and time.monotonic() >= stop.deadline.at + CLOSE_SECONDS

    def _cut(self) -> ExitCode:
        """Keep the deadline by force. The consumer thread has named what runs, unless that thread is what hangs."""
        if self._stage.now is not Stage.CLOSING:
            for thread, task in self._loop.running():
                if is_void(task):
                    continue
                log.error(
                    "%s in %s: cut off, it runs again",
                    in_words(task), thread.name, extra=about(Event.TASK_CUT_OFF, **facts_of(task)),
                )  # fmt: skip
        log.error(
            "Still %s after the deadline: the process ends by force",
            self._stage.now.value, extra=about(Event.FORCED_END, reason=self._stage.now.value),
        )  # fmt: skip
        # A client that does not close (its broker is frozen) owes nothing any more.
        in_order = ExitCode.OK if self._stage.now is Stage.CLOSING and not self._loop.report.cut_off else ExitCode.GAVE_UP
        return self._loop.report.ending or in_order

    def _beat(self) -> None:
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_SECONDS
            self._seat.check()
            surroundings.restore()
            for text in signals.raised():
                what = "The handler's reaction to a signal has raised: %s"
                self._complaint.log(logging.WARNING, what, text, extra=about(Event.HANDLER_FAULT))
            if self._stage.now is Stage.CONSUMING:
                self._upkeep.check()
            if self._channel.free():
                self._channel.send(self._heartbeat.message())
