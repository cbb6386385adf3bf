"""A process for a slot, started before it has anything to do. Little is imported here: the first one begins before all
else."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from typing import Mapping, NamedTuple, Optional

from kafka_worker import start
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.output.last_words import LastWords
from kafka_worker.supervision.systemd import without_systemd

FIRST = 0  # the slot
KILLED_SECONDS = 1.0  # for the kernel to end what was killed


class Prepared(NamedTuple):
    """A process that waits for its settings. Until then it only imports what is ours; if whoever made it ends without a word,
    it ends, too."""

    process: subprocess.Popen[bytes]
    channel: Channel
    words: LastWords

    @property
    def ended(self) -> bool:
        """Whether it has given up waiting: nobody had settings for it for so long."""
        return self.process.poll() is not None

    def dismiss(self) -> None:
        """It is not wanted after all."""
        make_end(self.process)
        self.channel.close()
        self.words.close()


def make_end(process: subprocess.Popen[bytes]) -> None:
    """End it by force. One that even the kernel can't end, because its disk does not answer, is not waited for."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_SECONDS)


def prepare(slot: int, environment: Mapping[str, str]) -> Prepared:
    """A fresh interpreter for the slot."""
    ours, theirs = socket.socketpair()
    words = LastWords()
    descriptors = [theirs.fileno(), words.fileno()]
    with theirs:
        process = subprocess.Popen(
            start.command("process", "--slot", str(slot), "--channel", str(descriptors[0]), "--words", str(descriptors[1])),
            env=without_systemd(environment),
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C in a terminal reaches the supervisor alone
        )
    return Prepared(process, Channel(ours), words)


class First:
    """The first process of the service, which begins when the command does: importing what is ours takes it longer than
    reading the settings takes us. Use it in a `with`: if nobody has taken it by the end, it is dismissed."""

    def __init__(self) -> None:
        """Nothing has begun yet."""
        self._prepared: Optional[Prepared] = None
        self._environment: Mapping[str, str] = {}

    def begin(self, environment: Mapping[str, str]) -> None:
        """Begin with this environment, as far as it is known; one that has begun with the same goes on. If none can be started
        there is none, and the preflight says why."""
        if self._prepared is not None and environment == self._environment:
            return
        self._dismiss()
        self._environment = dict(environment)
        with suppress(OSError):
            self._prepared = prepare(FIRST, environment)

    def take(self, slot: int) -> Optional[Prepared]:
        """From now on it belongs to whoever asks, once, for its slot; None if it has ended by now: that is no restart."""
        if slot != FIRST:
            return None
        taken, self._prepared = self._prepared, None
        if taken is not None and taken.ended:
            taken.dismiss()
            return None
        return taken

    def __enter__(self) -> First:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()

    def _dismiss(self) -> None:
        unwanted = self.take(FIRST)
        if unwanted is not None:
            unwanted.dismiss()
