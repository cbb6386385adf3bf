"""Threads of which one runs at a time, and a clock that goes on only when all wait. Which one runs next follows from a seed.

The threads are real, and so is the code that they run: a trace function counts the lines of the modules under test (in the
loop of the handler threads, the instructions), and at some of them, drawn by chance, hands the baton to another thread. So a
thread may be interrupted nearly wherever the interpreter could do it, a seed does the same each time, and the code needs no
hooks.
"""

from __future__ import annotations

import random
import sys
import threading
import traceback
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional

LAZY_SECONDS = 3.0  # what waits "lazily" (a poll of an idle topic) is not woken for its own sake before so much time is over
INSTRUCTIONS = sys.version_info < (3, 12)  # from there on lines only: two threads that trace instructions crash 3.12.1
TINY = 1e-6  # that a look at the clock takes, so that whoever waits for a time in a loop gets there
MOST_STEPS = 400_000  # of one life: a loop that never ends


class KilledError(BaseException):
    """The process is gone: raised in each of its threads, wherever it was."""


class Weighted(Dict[CodeType, int]):
    """How much a line of some code counts towards the next change of threads; code that is not here counts nothing."""

    def __init__(self, finely: CodeType) -> None:
        """Of `finely`, each instruction counts in place of each line."""
        super().__init__()
        self.finely = finely

    def add(self, module: Any, weight: int) -> None:
        """All functions of a module."""
        for value in list(vars(module).values()):
            members = list(vars(value).values()) if isinstance(value, type) else [value]
            for member in members:
                function = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
                code = getattr(function, "__code__", None)
                # Not `__str__`: only a log that is on would call it, and with it a seed would do something else.
                if code is not None and code.co_filename == module.__file__ and code.co_name != "__str__":
                    self._add(code, weight)

    def _add(self, code: CodeType, weight: int) -> None:
        self[code] = weight
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add(constant, weight)


def _baton() -> threading.Lock:
    """Who waits for it acquires it, who gives it away releases it."""
    baton = threading.Lock()
    baton.acquire()
    return baton


class Actor:
    """A thread, and what it waits for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = _baton()
        self.ready: Optional[Callable[[], bool]] = None  # None: nothing but time
        self.until: Optional[float] = 0.0  # None: for ever
        self.latest: Optional[float] = None  # of a lazy wait: when it wakes for its own sake
        self.ended = False
        self.thread: threading.Thread


class Scheduler:
    """The threads of one process's life."""

    def __init__(self, chance: random.Random, now: float, weights: Weighted, on_kill: Callable[[], None]) -> None:
        self._chance = chance
        self._weights = weights
        self._on_kill = on_kill
        self.now = now
        self.steps = 0
        self.kill_at = -1  # the step at which the process is killed; -1: none
        self.dead = False
        self.problem = ""
        self._mean = chance.choice([8, 30, 120, 600])
        self._countdown = 1
        self._actors: List[Actor] = []
        self._current: Optional[Actor] = None
        self._over = _baton()

    def monotonic(self) -> float:
        """As that of `time`."""
        if self.dead:
            raise KilledError
        self.now += TINY
        return self.now

    def spawn(self, target: Callable[..., Any], name: str, *arguments: Any) -> None:
        """A thread, which takes part from now on."""
        actor = Actor(name)
        actor.thread = threading.Thread(target=self._live, args=(actor, target, arguments), name=name, daemon=True)
        self._actors.append(actor)
        actor.thread.start()

    # ---- a life ----

    def run(self) -> None:
        """From the first step until `kill` or `end`; every thread has ended then."""
        self._current = self._choose()
        self._current.turn.release()
        self._over.acquire()
        for actor in self._actors:
            if not actor.ended:
                actor.turn.release()
            actor.thread.join()

    def kill(self) -> None:
        """The end of the process, at this point of whichever thread runs."""
        if not self.dead:
            self.dead = True
            self._on_kill()
            self._over.release()
        raise KilledError

    def fault(self, text: str) -> None:
        """Something is wrong: the life ends here."""
        if not self.dead:
            self.problem = text
            self.kill()
        raise KilledError

    def pause(self) -> None:
        """Another thread may have its turn."""
        if self.dead:
            raise KilledError
        self.steps += 1
        if self.steps == self.kill_at:
            self.kill()
        if self.steps > MOST_STEPS:
            self.fault(f"it goes round and round in {self._current and self._current.name}")
        self._switch(self._choose())

    def wait(self, seconds: Optional[float], ready: Optional[Callable[[], bool]] = None, *, lazy: bool = False) -> None:
        """Until `ready()`, or the time is over; None: for ever."""
        me = self._current
        assert me is not None
        me.ready = ready
        me.until = None if seconds is None else self.now + seconds
        me.latest = self.now + max(seconds or 0.0, LAZY_SECONDS) if lazy else me.until
        self.pause()
        me.ready, me.until, me.latest = None, 0.0, 0.0

    def _live(self, actor: Actor, target: Callable[..., Any], arguments: Any) -> None:
        try:
            actor.turn.acquire()
            if not self.dead:
                sys.settrace(self._trace)
                target(*arguments)
        except KilledError:
            pass
        except BaseException:  # a fault of the simulation, or of what it runs
            self.problem = self.problem or traceback.format_exc()
        finally:
            sys.settrace(None)
            actor.ended = True
            self._leave()

    def _leave(self) -> None:
        if self.dead:
            return
        try:
            if self.problem:
                self.kill()
            self._current = self._choose()
            self._current.turn.release()
        except KilledError:
            pass

    def _switch(self, to: Actor) -> None:
        me = self._current
        assert me is not None
        if to is me:
            return
        self._current = to
        to.turn.release()
        me.turn.acquire()
        if self.dead:
            raise KilledError

    def _choose(self) -> Actor:
        while True:
            runnable = [actor for actor in self._actors if self._runs(actor)]
            if runnable:
                return runnable[0] if len(runnable) == 1 else self._chance.choice(runnable)
            latest = [actor.latest for actor in self._actors if not actor.ended and actor.latest is not None]
            if not latest:
                self.fault("all threads wait for each other")
            self.now = max(self.now, min(latest))

    def _runs(self, actor: Actor) -> bool:
        if actor.ended:
            return False
        return (actor.until is not None and self.now >= actor.until) or (actor.ready is not None and actor.ready())

    def _trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        weight = self._weights.get(frame.f_code)
        if weight is None or self.dead:
            return None
        finely = frame.f_code is self._weights.finely and INSTRUCTIONS
        frame.f_trace_opcodes = finely
        counted = "opcode" if finely else "line"

        def count(_frame: FrameType, event: str, _argument: Any) -> Any:
            if event == counted and not self.dead:
                self._countdown -= weight
                if self._countdown <= 0:
                    self._countdown = 1 + int(self._chance.expovariate(1.0) * self._mean)
                    self.pause()
            return count

        return count
