"""What the supervisor has on disk: the lock that one of a group holds on this host, the control socket, and the folders of the
service. Any of it may be taken away while the service runs, by whatever cleans temporary folders or logs its user out; and any
disk may stop answering, so all of it is looked at beside the supervisor's loop."""

from __future__ import annotations

import functools
import logging
import os
import time
from typing import Callable, Dict, List, NamedTuple, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.control import ControlServer
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.snapshot import Condition
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import locks, runtime_files
from kafka_worker.supervision.aside import Aside

log = logs.logger(__name__)

LOOK_SECONDS = 0.5
TOUCH_SECONDS = 3600.0  # what cleans up looks for files that were not used for days
LEAVE_SECONDS = 1.0  # for the control socket to be taken away at the end


class _Folder(NamedTuple):
    """One that is looked after."""

    setting: str
    path: str
    aside: Aside
    look: Callable[[], None]  # what is done there. Raises OSError and UnsafeDirectoryError


class Premises:
    """The premises of one supervisor, from its start to its end."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, aside: Callable[[str], Aside] = Aside
    ) -> None:
        """Make the folder. `aside` makes what looks after one. Raises OSError and UnsafeDirectoryError."""
        self._settings = settings
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self._held: Dict[str, int] = {}  # descriptors of folders
        self._control: Optional[ControlServer] = None
        self._next_look = self._next_touch = clock()
        self._ours, self._control_gone = True, False  # as of the last look
        self._wrong: Dict[str, str] = {}  # by the setting of a folder that is of no use why, as of the last look
        runtime, state = runtime_files.prepare(settings), runtime_files.state_folder(settings)
        self._lock = locks.Lock(runtime_files.supervisor_lock(settings))
        self._folders = (
            _Folder("RUNTIME_DIRECTORY", runtime, aside("runtime-directory"), self._look_at_runtime),
            _Folder("STATE_DIRECTORY", state, aside("state-directory"), self._look_at_state),
        )

    def enter(self) -> bool:
        """Whether they are ours; if not, the log says whose they are."""
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
        """To be called in each turn: have what was taken away made anew. False: another supervisor was faster."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look, touch = now + LOOK_SECONDS, now >= self._next_touch
            self._next_touch = now + TOUCH_SECONDS if touch else self._next_touch
            for folder in self._folders:
                if not folder.aside.busy:
                    folder.aside.do(functools.partial(self._look, folder, touch=touch))
        if self._control_gone and self._control is not None:
            self._control_gone = False
            self._trying(self._folders[0], self._control.keep)  # here, as it is the loop that listens
        return self._ours

    def conditions(self) -> List[Condition]:
        """What does not answer, or is of no use."""
        stuck = [folder for folder in self._folders if folder.aside.stuck]
        told = {**self._wrong.copy(), **{each.setting: f"{each.setting} does not answer: {each.path}" for each in stuck}}
        return [Condition(Kind.FILES.value, None, text) for text in told.values()]

    def leave(self) -> None:
        """The end: nobody is heard at the control socket any more."""
        aside = self._folders[0].aside
        if self._control is not None and aside.wait(LEAVE_SECONDS):
            aside.do(self._control.close)
            aside.wait(LEAVE_SECONDS)

    # ---- beside the loop --------------------------------------------------------------------------------------------

    def _look(self, folder: _Folder, *, touch: bool) -> None:
        if touch:
            runtime_files.touch(folder.path)
        if self._trying(folder, folder.look):
            self._wrong.pop(folder.setting, None)

    def _look_at_runtime(self) -> None:
        self._hold(self._folders[0].path, runtime_files.prepare)
        self._ours = self._lock.keep()
        self._control_gone = self._control is not None and not self._control.is_there()
        runtime_files.must_take_more(self._folders[0].path)

    def _look_at_state(self) -> None:
        self._hold(self._folders[1].path, runtime_files.prepare_state)
        runtime_files.must_take_more(self._folders[1].path)

    def _trying(self, folder: _Folder, what: Callable[[], object]) -> bool:
        try:
            what()
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            prefix = "" if str(problem).startswith(folder.setting) else f"{folder.setting} is of no use: "
            self._wrong[folder.setting] = f"{prefix}{problem}"
            text = "Files of the service can't be written, or made anew: %s"
            self._complaint.log(logging.ERROR, text, problem, extra=about(Event.FILES_GONE))
            return False
        return True

    def _hold(self, folder: str, prepare: Callable[[Settings], str]) -> None:
        """Keep a folder from being cleaned, and make it anew where that was in vain."""
        held = self._held.get(folder)
        if held is not None and runtime_files.is_there(folder, os.fstat(held)):
            return
        self._held[folder] = runtime_files.hold(prepare(self._settings))
        if held is not None:
            os.close(held)
            log.warning("%s was taken away, and is made anew", folder, extra=about(Event.FILES_MADE_ANEW))
