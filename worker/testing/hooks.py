"""The hooks of a worker that is tested."""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from kafka_worker.handler.hooks import DEFINED, Drive, Hook, HookError, Registry
from kafka_worker.handler.lives import Hooks, HookWaits


class PromptHooks(Hooks):
    """Those of the service; but one that fails is not tried again: the test hears of it at once."""

    def __init__(self, defined: Registry) -> None:
        """Nothing is started yet."""
        super().__init__(defined, HookWaits())
        self._turns = threading.Semaphore(0)  # of threads that have come through
        self.failure: Optional[HookError] = None

    def tries_again(self, problem: HookError) -> bool:
        """It is not."""
        self.failure = self.failure or problem
        return False

    def start_of_thread(self, name: str, drive: Drive = lambda _: None, *, of_loop: bool = False) -> bool:
        """As it is, and the test is told."""
        try:
            return super().start_of_thread(name, drive, of_loop=of_loop)
        finally:
            self._turns.release()

    def wait(self, threads: int, seconds: float) -> None:
        """Until so many threads have started theirs. Raises HookError."""
        if not all(self._turns.acquire(timeout=seconds) for _ in range(threads)):
            raise HookError(f"after {seconds:g} s the hooks of a handler thread have not started")
        self.check()

    def check(self) -> None:
        """Raises HookError when one has failed."""
        if self.failure is not None:
            raise self.failure


def chosen(hooks: Optional[Sequence[Hook[Any]]], replace: Mapping[Hook[Any], Any]) -> Registry:
    """Those of these that are defined, all if None, with values in the place of some. Raises TypeError for what is none."""
    strangers = [each for each in (*(hooks or ()), *replace) if not isinstance(each, Hook)]
    if strangers:
        raise TypeError(f"not a hook, as @per_process and @per_thread make one of a function: {strangers[0]!r}")
    wanted: Callable[[Hook[Any]], bool] = (lambda _: True) if hooks is None else hooks.__contains__

    def these(defined: Iterable[Hook[Any]]) -> Any:
        return [hook.instead(replace[hook]) if hook in replace else hook for hook in defined if wanted(hook)]

    return Registry(these(DEFINED.per_process), these(DEFINED.per_thread))
