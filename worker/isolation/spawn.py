"""One task process from our side, from its start until it is reaped. What is done with it stands in `task_process`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, Mapping, Optional, Tuple

from kafka_worker import start
from kafka_worker.isolation.frames import Frames, GarbledError
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import described
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.output.last_words import LastWords
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import forks, orphans
from kafka_worker.shared.system.deadline import Deadline

log = logs.logger(__name__)

ABORT_SECONDS = 2.0  # from SIGABRT, which prints the stacks, to SIGKILL
TICK_SECONDS = 0.1  # at most so late is it noticed that it has ended without a word
KILL_SECONDS = 10.0  # for the kernel to end a process; beyond that it hangs in the kernel, and is left to it
CLOSE_SECONDS = 1.0  # from the end of its tasks to SIGKILL
NAP_SECONDS = 0.002
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2) of either

STANDARD = 3  # so many descriptors of a process have a meaning of their own
_ANSWER = 6  # fields: pid, number of the task, kind, content, calls of dependencies, spent
STARTER = "starter"  # the thread that starts processes


class Starter:
    """The parent of a process is for the kernel the thread that started it: a task process would be killed at the end of a
    thread (see `main._die_with`). So one thread starts all, and lives as long as we do."""

    def __init__(self) -> None:
        """The thread starts when it is first needed."""
        self._lock = threading.Lock()
        self._thread = self._made()

    def start(self, arguments: List[str], descriptors: List[int], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A process that has these descriptors. Raises OSError, and RuntimeError where there can't be another thread."""
        with self._lock:
            try:
                started = self._thread.submit(
                    subprocess.Popen,
                    arguments,
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    cwd=FOLDER,
                    env=environment,
                )
            except RuntimeError:
                self._thread = self._made()  # it has none, and would do at another time what it was told now
                raise
        return started.result()

    @staticmethod
    def _made() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix=STARTER)


def _folder() -> Optional[str]:
    try:
        return os.getcwd()
    except OSError:
        return None  # it is gone, and whatever we need is elsewhere


_STARTER = Starter()
_LIVING: List[Spawned] = []  # not closed yet
FOLDER = _folder()  # in which we were started, and task processes are too: a handler may go to another


class Spawned:
    """A fresh interpreter that runs `main`. One thread at a time may use it."""

    def __init__(self, settings: Settings, name: str, environment: Mapping[str, str]) -> None:
        """Started, and told its settings. Raises OSError or RuntimeError when the machine has no room for it."""
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            self._words = undo.enter_context(contextlib.closing(LastWords()))
            work, their_work = (undo.enter_context(end) for end in socket.socketpair())
            control, their_control = (undo.enter_context(end) for end in socket.socketpair())
            theirs.enter_context(their_work)
            theirs.enter_context(their_control)
            descriptors = [_high(theirs, file.fileno()) for file in (their_work, their_control, self._words)]
            arguments = start.command("isolation.main", name, str(os.getpid()), *map(str, descriptors))
            self._process = _STARTER.start(arguments, descriptors, environment)
            undo.pop_all()
        work.setblocking(False)
        forks.leave(self._words, LastWords.close)
        self.pid = self._process.pid
        self.how: Optional[str] = None  # it ended, once reaped
        self.is_prepared = False  # its hooks have started
        self.peak_memory = 0  # bytes, once reaped; at least our own at its start, which the kernel counts too
        self.work = Frames(work)
        self.control = Channel(control)
        forks.leave(self.control, Channel.close)
        self.code: Optional[int] = None  # its exit status, once known; negative: the signal that killed it
        self._poll = select.poll()
        self._poll.register(self.control, select.POLLIN)
        self.control.send({"settings": settings.to_json()})
        _LIVING.append(self)

    def wait(self, seconds: float) -> None:
        """Until it says something, takes more of what we send, or the time is over."""
        self._poll.register(self.work, select.POLLIN | (select.POLLOUT if self.work.pending else 0))
        self._poll.poll(seconds * 1000)

    def loaded(self) -> Optional[str]:
        """Wait until it has loaded the handler, as long as that takes; why it can't be loaded, or None. Raises EOFError and
        OSError when it ends, and GarbledError."""
        return self._first_answer()[1]  # type: ignore[no-any-return]

    def prepared(self, tell: Callable[[str], None]) -> Optional[str]:
        """After that: wait until its hooks have started; `tell` hears what it waits for. Why one can't be started, or None.
        Raises as `loaded`."""
        while not self.is_prepared:
            kind, content, *_ = self._first_answer()
            if kind == "waits":
                tell(str(content))
            elif kind == "unprepared":
                return str(content)
            else:
                self.is_prepared = True
        return None

    def _first_answer(self) -> Tuple[str, Any, Any, bool]:
        """What it says of itself, before any task."""
        answer = None
        while answer is None:
            self.wait(TICK_SECONDS)
            answer = self.answer(0)
            if answer is None:
                self.control.flush()
                self.must_live()
        return answer

    def answer(self, number: int) -> Optional[Tuple[str, Any, Any, bool]]:
        """What it says of the task of this number: what kind of outcome, its content, the calls of dependencies, and whether
        it can run no other; None: nothing yet. A copy of it, as a handler makes by forking, answers in its name, and is not
        heard. Raises as `Frames.receive`."""
        while True:
            frame = self.work.receive()
            if frame is None:
                return None
            if not isinstance(frame, tuple) or len(frame) != _ANSWER:
                raise GarbledError("its task process gave an answer that is none")
            if frame[:2] == (self.pid, number):
                return frame[2:]
            log.warning(
                "process %d: an answer of process %r to task %r is not heard",
                self.pid, *frame[:2], extra=about(Event.STRANGE_ANSWER),
            )  # fmt: skip

    def must_live(self) -> None:
        """Raises EOFError when it has ended. Its channels alone don't tell, where the handler has forked a process that still
        has them."""
        if not self.control.readable or self.ended():
            raise EOFError

    @property
    def stopped(self) -> bool:
        """Whether somebody has stopped it: a SIGSTOP, a debugger. Told by Linux only."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] in (b"T", b"t")
        return False

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, or does so within the time."""
        deadline = Deadline(seconds)
        while not self._reaped():
            if deadline.expired():
                return False
            time.sleep(NAP_SECONDS)
        return True

    def _reaped(self) -> bool:
        if self.how is None:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._process.returncode, self.how = 0, "ended, and somebody else took its exit status"
            else:
                if pid:
                    self._ended_with(status, usage)
        return self.how is not None

    def _ended_with(self, status: int, usage: resource.struct_rusage) -> None:
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self._process.returncode = self.code = code  # else Popen would look for it
        self.peak_memory = usage.ru_maxrss * MAXRSS_UNIT
        self.how = self._words.how(described(code))

    def see_it_end(self) -> bool:
        """Its channel has ended, and so must it; whether it did so by itself."""
        by_itself = self.ended(ABORT_SECONDS)
        if not by_itself:
            self.abort()
        return by_itself

    def abort(self) -> None:
        """Have it print its stacks and end, by force if it can't even do that."""
        self._signal(signal.SIGABRT)
        if not self.ended(ABORT_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End the process by force."""
        self._signal(signal.SIGKILL)
        if not self.ended(KILL_SECONDS):
            self.how = "not ended by SIGKILL"

    def _signal(self, number: int) -> None:
        if self.how is None:  # else its pid may belong to somebody else
            os.kill(self.pid, number)

    def last_stack(self) -> str:
        """What faulthandler wrote at its death, or nothing."""
        return self._words.read()

    def close(self) -> None:
        """End it, and forget its descriptors. What its handler has left for the end it may still do."""
        self.work.finish()
        if not self.ended(CLOSE_SECONDS):
            self.kill()
        self.work.close()
        self.control.close()
        orphans.end_left_behind(os.getpid())
        self._words.close()
        if self in _LIVING:
            _LIVING.remove(self)


def end_all(deadline: Deadline) -> None:
    """Have all task processes end in order, by the deadline: they end with us at the latest, and by force."""
    living = list(_LIVING)
    for process in living:
        process.work.finish()
    for process in living:
        process.ended(deadline.remaining())


def _high(ends: contextlib.ExitStack, descriptor: int) -> int:
    """A copy of the descriptor above the standard ones, which it may stand among where a handler, or who started us, has
    closed those: Popen would put other files there. It is closed when `ends` does."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STANDARD)
    ends.callback(os.close, copy)
    return copy
