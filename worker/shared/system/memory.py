"""MEMORY_LIMIT, split into what each process may use, and what for. Pure.

A process has its share of the limit. Below the soft limit, at which it is recycled, there is room for the interpreter, the
handler's module and the client; what is left is for messages: some that the client has fetched ahead, a response that it is
reading, some in flight, and the rest for what handlers make of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, NamedTuple, Optional

if TYPE_CHECKING:
    from kafka_worker.shared.settings import Settings

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20  # in which limits are written
MEGABYTE = 1_000_000  # in which sizes are told
SUPERVISOR_BYTES = 40 * MEBIBYTE  # measured: 37 when it has started
BASE_BYTES = 60 * MEBIBYTE  # measured: 35 to 45 for a process with the client connected; the rest is for the handler's module
LEAST_BYTES = 96 * MEBIBYTE  # a share: leaves 20 for messages
SOFT_SHARE = 0.85  # the rest is for what comes while the successor starts and the process drains
PREFETCH_SHARE = 1 / 8  # of what is left for messages; a response that is being read may take as much again
MOST_PREFETCH_BYTES = 16 * MEBIBYTE  # more brings nothing: as much as thirty partitions have of small messages
IN_FLIGHT_SHARE = 1 / 3
_UNITS = {"K": 1, "M": 2, "G": 3, "T": 4}


class Shares(NamedTuple):
    """The shares of one process, in bytes."""

    process: int
    soft: int  # resident memory beyond which it is recycled
    in_flight: int  # values of the messages that are delivered and have no outcome
    prefetch: int  # what the client fetches ahead


def size(text: str) -> int:
    """Bytes, of a size like 512M, 1.5 GiB or 2g; units are powers of 1024, as in systemd's MemoryMax. Raises ValueError."""
    number = text.upper().rstrip("IB ")
    power = _UNITS.get(number[-1:], 0)
    return int(float(number.rstrip("KMGT ")) * 1024**power)


def shares(settings: Settings) -> Optional[Shares]:
    """The shares of a process; None without a limit."""
    limit = size(settings.memory_limit)
    if not limit:
        return None
    process = (limit - SUPERVISOR_BYTES) // settings.processes
    soft = int(SOFT_SHARE * process)
    messages = max(MEBIBYTE, soft - BASE_BYTES)
    prefetch = int(min(MOST_PREFETCH_BYTES, PREFETCH_SHARE * messages))
    return Shares(process, soft, in_flight=int(IN_FLIGHT_SHARE * messages), prefetch=prefetch)


def faults(settings: Settings) -> List[str]:
    """A limit with which nothing would work, with the next step."""
    found = shares(settings)
    if found is None or found.process >= LEAST_BYTES:
        return []
    needed = SUPERVISOR_BYTES + settings.processes * LEAST_BYTES
    fault = (
        f"MEMORY_LIMIT = {settings.memory_limit} is too small for PROCESSES = {settings.processes}: each needs at least "
        f"{LEAST_BYTES // MEBIBYTE}M and the supervisor {SUPERVISOR_BYTES // MEBIBYTE}M, {needed // MEBIBYTE}M in all. "
        "Raise it, or lower PROCESSES."
    )
    return [fault]
