"""systemd's notify protocol: one datagram to the socket named by `NOTIFY_SOCKET`. (The libraries for it are unmaintained or
need a C compiler; the protocol is these few lines, see sd_notify(3).) Without systemd everything here does nothing."""

from __future__ import annotations

import contextlib
import socket
from typing import Dict, Mapping

#: What children must not inherit: they would speak for the service.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

EXTENSION_SECONDS = 10.0  # asked for again and again while we stop or reload, so that systemd's own limit never cuts it


def without_systemd(environment: Mapping[str, str]) -> Dict[str, str]:
    """The environment of a child: all but what speaks to systemd."""
    return {name: value for name, value in environment.items() if name not in VARIABLES}


class Notifier:
    """The supervisor's line to systemd."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """Read where to speak, and whether a watchdog listens for this process."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._unsent = ""
        self._status = ""
        self._next_status = 0.0
        self._next_ping = 0.0
        self._next_extension = 0.0
        self._ping_every = 0.0
        if environment.get("WATCHDOG_PID", str(pid)) == str(pid):
            self._ping_every = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 / 3

    def ready(self) -> None:
        """Tell that we are started, or done with reloading."""
        self._announce("READY=1")

    def reloading(self, now: float) -> None:
        """A rolling restart begins; `ready` ends it, also when it failed."""
        self._announce(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}")

    def stopping(self) -> None:
        """Tell that the end begins."""
        self._announce("STOPPING=1")

    def status_due(self, now: float) -> bool:
        """Whether somebody listens, and the last line is a second old."""
        if not self._address or now < self._next_status:
            return False
        self._next_status = now + 1.0
        return True

    def status(self, text: str) -> None:
        """Tell how it is, in one line for `systemctl status`."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text)

    def ping(self, now: float) -> None:
        """Feed the watchdog, when it is time. It goes on barking while we drain, so this is called until the end.
        What systemd had no room for is announced again."""
        if self._unsent:
            self._announce(self._unsent)
        if self._ping_every and now >= self._next_ping:
            self._next_ping = now + self._ping_every
            self._send("WATCHDOG=1")

    def extend(self, now: float) -> None:
        """Ask for more time to stop or reload, once a second."""
        if now >= self._next_extension:
            self._next_extension = now + 1.0
            self._send(f"EXTEND_TIMEOUT_USEC={int(EXTENSION_SECONDS * 1e6)}")

    def _announce(self, text: str) -> None:
        """Say what must not get lost: a service whose READY=1 did not arrive would be killed."""
        self._unsent = "" if self._send(text) else text

    def _send(self, text: str) -> bool:
        if not self._address:
            return True
        # A message that is lost (systemd busy or gone) must not disturb the service.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(text.encode(), self._address)
            return True
        return False
