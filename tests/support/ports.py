"""Free ports for brokers."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path
from typing import List


def free_ports(host: str, count: int) -> List[int]:
    """Ports of `host` that nobody has now. Somebody may take one before it is used: then try again.

    Below the range from which the kernel hands out ports: a client that calls a dead broker again and again
    would one day be given the broker's own port as its side of the connection, and be connected to itself.
    """
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with contextlib.ExitStack() as stack:
        sockets: List[socket.socket] = []
        while len(sockets) < count:
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((host, random.randrange(10_000, max(lowest_ephemeral, 11_000))))
                sockets.append(probe)
        return [probe.getsockname()[1] for probe in sockets]
