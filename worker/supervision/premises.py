"""What the supervisor has on disk: the lock that one of a group holds on this host, the control socket, and the folders of the
service. Any of it may be taken away while the service runs, by who cleans temporary folders or logs its user out."""

from __future__ import annotations

import logging
import os
import time
from typing import Callable, Dict, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.control import ControlServer
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files

log = logs.logger(__name__)

LOOK_SECONDS = 0.5
TOUCH_SECONDS = 3600.0  # who cleans looks for what was not used for days


class Premises:
    """The premises of one supervisor, from its start to its end."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Make the folder. Raises OSError and UnsafeDirectoryError."""
        self._settings = settings
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self._held: Dict[str, int] = {}  # descriptors of folders
        self._control: Optional[ControlServer] = None
        self._next_look = self._next_touch = clock()
        runtime_files.prepare(settings)
        self._lock = runtime_files.Lock(runtime_files.supervisor_lock(settings))

    def enter(self) -> bool:
        """Whether they are ours; if not, it is said whose they are."""
        ours = self._lock.try_acquire(f"process {os.getpid()}")
        if not ours:
            log.error(
                "Group %s is already run on this host by %s. Stop that one, or give this one another KAFKA_GROUP_ID "
                "(for another cluster: another RUNTIME_DIRECTORY)",
                self._settings.group_id, self._lock.note(),
                extra=about(Event.SUPERVISOR_REFUSED),
            )  # fmt: skip
        return ours

    def guard(self, control: ControlServer) -> None:
        """The control socket is one of the things to be looked after."""
        self._control = control

    def check(self) -> bool:
        """To be called in each turn: make anew what was taken away. False: another supervisor was faster."""
        now = self._clock()
        if now < self._next_look:
            return True
        self._next_look = now + LOOK_SECONDS
        if now >= self._next_touch:
            self._next_touch = now + TOUCH_SECONDS
            runtime_files.touch(self._settings)
        try:
            self._hold(runtime_files.folder(self._settings), runtime_files.prepare)
            state = runtime_files.state_folder(self._settings)
            if state in self._held or os.path.isdir(state):  # the processes make it, if it can be
                self._hold(state, runtime_files.prepare_state)
            ours = self._lock.keep()
            if ours and self._control is not None:
                self._control.keep()
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            self._complaint.log(
                logging.ERROR, "What was taken away of the service's files can't be made anew: %s",
                problem, extra=about(Event.FILES_GONE),
            )  # fmt: skip
            return True
        return ours

    def _hold(self, folder: str, prepare: Callable[[Settings], str]) -> None:
        """Keep a folder from being cleaned, and make it anew where that was in vain."""
        held = self._held.get(folder)
        if held is not None and runtime_files.is_there(folder, os.fstat(held)):
            return
        self._held[folder] = runtime_files.hold(prepare(self._settings))
        if held is not None:
            os.close(held)
            log.warning("%s was taken away, and is made anew", folder, extra=about(Event.FILES_MADE_ANEW))
