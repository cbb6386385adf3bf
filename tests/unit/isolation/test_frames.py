"""Frames, with whatever else somebody writes into their connection."""

from __future__ import annotations

import contextlib
import marshal
import socket
import struct
from typing import Any, Iterator, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.isolation.frames import LONGEST_FRAME, Frames, GarbledError

ONE = st.none() | st.integers() | st.floats(allow_nan=False) | st.binary(max_size=50) | st.text(st.characters(), max_size=50)
PLAIN = st.recursive(
    ONE,
    lambda each: st.lists(each, max_size=4) | st.tuples(each, each) | st.dictionaries(st.text(max_size=9), each, max_size=4),
)


@contextlib.contextmanager
def ends() -> Iterator[Tuple[socket.socket, Frames]]:
    """What somebody writes into, and who reads frames."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, contextlib.closing(Frames(theirs)) as frames:
        yield ours, frames


def framed(content: Any) -> bytes:
    body = marshal.dumps(content)
    return struct.pack("!Q", len(body)) + body


def received(frames: Frames) -> List[Any]:
    """All that has come."""
    return list(iter(frames.receive, None))


@given(st.lists(PLAIN.filter(lambda content: content is not None), max_size=4), st.lists(st.integers(1, 30), max_size=20))
def test_frames_arrive_however_they_are_cut_and_glued(contents: List[Any], cuts: List[int]) -> None:
    """A copy of a process may answer between two answers of the original."""
    stream, arrived = b"".join(map(framed, contents)), []
    with ends() as (writer, frames):
        for cut in cuts:
            writer.sendall(stream[:cut])
            stream = stream[cut:]
            arrived += received(frames)
        writer.sendall(stream)
        arrived += received(frames)

    assert arrived == contents


@given(st.binary(max_size=200))
def test_noise_is_told_from_frames_or_waited_for_and_nothing_else_happens(noise: bytes) -> None:
    with ends() as (writer, frames):
        writer.sendall(noise)
        writer.close()

        with contextlib.suppress(GarbledError, EOFError):
            received(frames)


@pytest.mark.parametrize("noise", [b"x" * 8, struct.pack("!Q", LONGEST_FRAME + 1)])
def test_a_length_that_no_frame_of_ours_has_is_not_waited_for(noise: bytes) -> None:
    with ends() as (writer, frames):
        writer.sendall(noise)

        with pytest.raises(GarbledError):
            frames.receive()
