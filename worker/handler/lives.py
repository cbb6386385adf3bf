"""The lives of hooks: started before the first message, stopped after the last.

A hook that fails is started again, after growing pauses, as long as it takes: until then its process is not in the group, and
ending it would mend no database. `status` says who waits for which hook. What has begun is stopped at every end but that by a
fault, within its deadline; a thread that is cut off in the midst of a task takes its hooks with it.

In a task process all hooks run in the one thread that runs tasks. There nothing is tried again: that process ends, and
whoever wanted it tries to have another.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Sequence, Set, Tuple

from kafka_worker.handler.hooks import DEFINED, Drive, Hook, HookError, Registry
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.output.last_words import while_
from kafka_worker.shared.system import forks

log = logs.logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
NAP_SECONDS = 0.005
PATIENCE_SECONDS = 1.0  # so long may a hook take before it is named


class HookWaits:
    """Who waits for a hook to start, or to stop. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody does."""
        self._clock = clock
        self._notes: Dict[str, Tuple[float, str]] = {}  # by who: since when, for what

    def note(self, who: str, what: str) -> None:
        """Whoever it is waits, now for this."""
        since, _ = self._notes.get(who, (self._clock(), ""))
        self._notes[who] = (since, what)

    def over(self, who: str) -> None:
        """It waits no more."""
        self._notes.pop(who, None)

    def all(self) -> List[str]:
        """What they wait for."""
        return [f"{what} ({who})" for who, (_, what) in self._notes.copy().items()]

    @property
    def trouble(self) -> str:
        """The longest of the waits that take their time; empty: there is none."""
        now = self._clock()
        notes = [(since, f"{what} ({who})") for who, (since, what) in self._notes.copy().items()]
        waits = [note for note in notes if now - note[0] > PATIENCE_SECONDS]
        if not waits:
            return ""
        since, text = min(waits)
        return f"{text}, for {now - since:.0f} s{f'; {len(waits) - 1} more wait' if waits[1:] else ''}"


HOOK_WAITS = HookWaits()


class Lives:
    """The hooks that one thread starts, and stops."""

    def __init__(self, hooks: Sequence[Hook[Any]], drive: Drive, tell: Callable[[str], None]) -> None:
        """`drive` is for async hooks; `tell` hears what is done next."""
        self._hooks = hooks
        self._drive = drive
        self._tell = tell
        self._begun: List[Tuple[Hook[Any], Any]] = []
        self._lock = threading.Lock()  # another thread may want to stop what is only being started

    def start(self) -> None:
        """Start those that have not begun. Raises HookError at the first that fails."""
        with self._lock:
            for hook in self._hooks[len(self._begun) :]:
                self._tell(f"the hook {hook.name} is being started")
                try:
                    with while_(f"starting the hook {hook.name}"), _no_copy():
                        self._begun.append((hook, hook.start(self._drive)))
                except BaseException as problem:  # SystemExit too: it would end a thread, and the process would hang
                    cause = copied(problem)
                    raise HookError(f"the hook {hook.name} can't be started: {quoted(problem)}") from cause

    def stop(self) -> None:
        """Stop those that have begun, the last first."""
        with self._lock:
            while self._begun:
                hook, manager = self._begun.pop()
                self._tell(f"the hook {hook.name} is being stopped")
                try:
                    with while_(f"stopping the hook {hook.name}"), _no_copy():
                        hook.stop(manager, self._drive)
                except BaseException as problem:  # the others are stopped all the same
                    log.error(  # noqa: TRY400 (a copy)
                        "The hook %s can't be stopped: %s", hook.name, quoted(problem),
                        exc_info=copied(problem), extra=about(Event.HOOK_FAILED),
                    )  # fmt: skip


class Hooks:
    """All hooks of a process: its own, and those of its threads. Any thread."""

    def __init__(self, defined: Registry = DEFINED, waits: HookWaits = HOOK_WAITS) -> None:
        """Nothing is started yet."""
        self._per_thread = list(defined.per_thread)
        self._of_loop = defined.of_loop
        self._process = self._lives(defined.of_process, _no_loop, "the process")
        self._own = threading.local()  # each thread's Lives
        self._waits = waits
        self._ends = False  # what still starts is interrupted
        self._ended = threading.Event()
        self._threads: Set[str] = set()  # that have theirs running
        self._any = bool(defined.per_process or defined.per_thread)

    def start(self) -> bool:
        """Start those of the process, and try again as long as they fail; False: the end has come meanwhile."""
        return self._patiently(self._process, "the process")

    def _lives(self, hooks: Sequence[Hook[Any]], drive: Drive, who: str) -> Lives:
        return Lives(hooks, drive, lambda what: self._waits.note(who, what))

    def start_of_thread(self, name: str, drive: Drive = lambda _: None, *, of_loop: bool = False) -> bool:
        """The same for the thread that calls it."""
        lives = self._own.lives = self._lives([*(self._of_loop if of_loop else ()), *self._per_thread], drive, name)
        self._threads.add(name)
        return self._patiently(lives, name)

    def stop_of_thread(self, name: str) -> None:
        """Stop those of the thread that calls it."""
        self._own.lives.stop()
        self._waits.over(name)
        self._threads.discard(name)

    def stop(self, end_threads: Callable[[], None], busy: Callable[[], Set[str]], seconds: float) -> None:
        """Stop all, those of the threads first, within the time. `end_threads` has threads end that have nothing to do; those
        that are still `busy` are cut off, and theirs with them."""
        if not self._any:
            return
        stopper = threading.Thread(target=self._stop, args=(end_threads, busy), name="hooks", daemon=True)
        try:
            stopper.start()
        except RuntimeError as problem:  # the machine has no room for a thread
            log.error("The hooks can't be stopped: %s", problem, extra=about(Event.HOOK_FAILED))  # noqa: TRY400
            return
        stopper.join(seconds)
        if stopper.is_alive():
            for what in self._waits.all():
                log.error("Cut off: %s", what, extra=about(Event.HOOK_FAILED))

    def _stop(self, end_threads: Callable[[], None], busy: Callable[[], Set[str]]) -> None:
        self._ends = True
        if self._threads:
            end_threads()
        self._ended.set()  # after that: who waits to try again finds that its thread is to end
        while self._threads - busy():
            time.sleep(NAP_SECONDS)
        self._process.stop()

    def tries_again(self, _problem: HookError) -> bool:
        """Whether a hook that has failed is started once more. Any thread."""
        return True

    def _patiently(self, lives: Lives, who: str) -> bool:
        pause = FIRST_PAUSE_SECONDS
        while not self._ended.is_set():
            try:
                lives.start()
            except HookError as problem:
                self._waits.note(who, str(problem))
                if not self.tries_again(problem):
                    return False
                more = "The end comes before it" if self._ends else f"Tried again in {pause:g} s"
                log.error(  # noqa: TRY400 (the traceback is that of the user's function)
                    "%s (%s). %s", problem, who, more,
                    exc_info=problem.__cause__, extra=about(Event.HOOK_FAILED, reason=str(problem)),
                )  # fmt: skip
                self._ended.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._waits.over(who)
                return True
        return False


def of_task_process(drive: Drive, tell: Callable[[str], None]) -> Lives:
    """All of them in one thread."""
    return Lives([*DEFINED.of_process, *DEFINED.of_loop, *DEFINED.per_thread], drive, tell)


def _no_loop(_awaitable: Any) -> None:
    raise AssertionError("async hooks are those of the event loop's thread")


@contextlib.contextmanager
def _no_copy() -> Iterator[None]:
    """A copy of our process, which a hook has made by forking, ends with it."""
    try:
        yield
    finally:
        if forks.copied:
            forks.end()
