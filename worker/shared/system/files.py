"""Files that settings name. One may be a pipe (`<(command)` of a shell, what a keeper of secrets serves), at whose other end
there may be nobody: that is a fault after a while, and no standstill that no signal ends."""

from __future__ import annotations

import io
import os
import select
import stat

from kafka_worker.shared.system.deadline import Deadline

PIPE_SECONDS = 10.0  # to wait for all of one
LONGEST = 1 << 24  # bytes: more is none of what settings name


def text(path: str) -> str:
    """What is written there, in UTF-8, without a mark of byte order. Raises OSError and UnicodeDecodeError."""
    return io.TextIOWrapper(io.BytesIO(content(path)), encoding="utf-8-sig").read()


def content(path: str) -> bytes:
    """What the file holds. Raises OSError."""
    with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        there = select.poll()
        there.register(file, select.POLLIN)
        found, deadline = b"", Deadline(PIPE_SECONDS)
        while len(found) <= LONGEST:
            if not regular and (deadline.expired() or not there.poll(deadline.remaining() * 1000)):
                raise TimeoutError(f"nobody has written to this pipe, and ended, within {PIPE_SECONDS:g} s: {path!r}")
            more = file.read(LONGEST)
            if not more:
                return found
            found += more
    raise OSError(f"more than {LONGEST >> 20} MB: {path!r}")
