"""Nobody waits for who reads the log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import Callable, Iterator, List, Tuple

import pytest

from kafka_worker.shared.output import log_writer
from kafka_worker.shared.output.log_writer import LogWriter
from tests.support.eventually import eventually

SOON = 5.0  # seconds, for what must not wait
ROOM = 4096  # bytes of a pipe
LINE = b"x" * 99 + b"\n"

Pipe = Tuple[int, int]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.setattr(log_writer, "PATIENCE_SECONDS", 0.005)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, ROOM)  # F_SETPIPE_SZ
    yield reader, writer
    for number in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(number)
    while MADE:
        MADE.pop().close()


MADE: List[LogWriter] = []


def on(number: int) -> LogWriter:
    MADE.append(LogWriter(number, lambda count: b"%d are missing\n" % count))
    return MADE[-1]


def read(reader: int, until: Callable[[bytes], bool]) -> bytes:
    got = b""
    while not until(got):
        got += os.read(reader, 1 << 16)
    return got


def stuck(pipe: Pipe, lines: int) -> LogWriter:
    """A writer that has been given so many lines, and nobody has read one."""
    writer = on(pipe[1])
    for _ in range(lines):
        writer.put(LINE)
    return writer


def test_a_line_is_written_when_the_call_returns(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "PATIENCE_SECONDS", 60)
    writer = on(pipe[1])
    os.set_blocking(pipe[0], False)

    for number in range(20):
        writer.put(b"%d\n" % number)
        assert os.read(pipe[0], 100) == b"%d\n" % number


def test_nobody_waits_for_who_does_not_read_and_what_is_missing_is_told_when_it_flows(pipe: Pipe) -> None:
    begun = time.monotonic()
    writer = stuck(pipe, 2000)
    took = time.monotonic() - begun
    dropped = writer.dropped

    got = read(pipe[0], lambda got: b"missing" in got)
    got += read(pipe[0], lambda more: (got + more).count(LINE) + dropped == 2000)

    assert took < SOON
    assert 2000 - ROOM // len(LINE) - log_writer.MOST_WAITING - 2 <= dropped < 2000
    assert b"%d are missing\n" % dropped in got
    eventually(lambda: (writer.dropped, writer.told) == (dropped, dropped), SOON, "it is told")


def test_what_is_missing_is_told_once(pipe: Pipe) -> None:
    writer = stuck(pipe, 1000)
    got = read(pipe[0], lambda got: b"missing" in got)
    got += read(pipe[0], lambda more: (got + more).count(LINE) + writer.dropped == 1000)

    writer.put(b"next\n")
    got += read(pipe[0], lambda more: b"next" in more)

    assert got.count(b"missing") == 1
    assert got.endswith(b"next\n")


def test_what_waits_is_bounded_in_bytes_too(pipe: Pipe) -> None:
    writer = on(pipe[1])

    writer.put(b"x" * 20_000_000)

    assert writer._waiting.qsize() <= log_writer.MOST_WAITING
    assert writer.dropped >= 20_000_000 // log_writer.LONGEST_PIECE - log_writer.MOST_WAITING - 1


def test_the_end_of_a_process_waits_for_what_flows_and_not_for_what_does_not(pipe: Pipe) -> None:
    writer = stuck(pipe, 300)
    begun = time.monotonic()
    writer.flush(0.01)
    waited = time.monotonic() - begun
    got: List[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read(pipe[0], lambda got: len(got) == 300 * len(LINE))))
    reader.start()

    writer.flush(30)

    reader.join()
    assert waited < SOON
    assert got == [LINE * 300]


def test_lines_of_several_processes_are_not_mixed(pipe: Pipe) -> None:
    one, other = on(pipe[1]), on(pipe[1])
    for _ in range(20):
        one.put(b"a" * 30 + b"\n" + (b"a" * 1000 + b"\n") * 9)
        other.put(b"b" * 30 + b"\n" + (b"b" * 1000 + b"\n") * 9)

    got = read(pipe[0], lambda got: len(got) == 2 * 20 * (31 + 9 * 1001))

    assert {len(set(line)) for line in got.splitlines()} == {1}


def test_a_reader_that_is_gone_is_told_by_the_count(pipe: Pipe) -> None:
    writer = on(pipe[1])
    os.close(pipe[0])

    for _ in range(10):
        writer.put(LINE)
    writer.flush(SOON)

    assert (writer.dropped, writer.told) == (10, 0)


def test_a_descriptor_that_somebody_has_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    writer = stuck(pipe, 100)

    assert read(pipe[0], lambda got: len(got) == 100 * len(LINE)) == LINE * 100
    assert writer.dropped == 0


@pytest.mark.parametrize("which", [0, 1])
def test_a_handler_that_closes_descriptors_or_leads_them_elsewhere_gets_no_line_of_ours(
    pipe: Pipe, which: int, tmp_path: object
) -> None:
    writer = on(pipe[1])
    number = writer._numbers[which]
    with open(f"{tmp_path}/file", "w+b") as file:
        os.dup2(file.fileno(), number)

        writer.put(b"line\n")

        assert os.read(pipe[0], 100) == b"line\n"
        assert file.read() == b""
        os.dup2(file.fileno(), writer._numbers[1 - which])
        writer.put(b"line\n")
        writer.flush(SOON)
        assert file.read() == b""
        assert writer.dropped == 1


def test_a_stream_in_place_of_a_standard_one_is_used_as_that_one(pipe: Pipe) -> None:
    with open(os.dup(pipe[1]), "w", encoding="utf-8") as given:
        stream = on(pipe[1]).stream(given)

        print("ä", "\ud800", 1, file=stream)
        stream.buffer.write(b"bytes\n")
        print("...", end="", file=stream, flush=True)

        assert os.read(pipe[0], 100) == "ä \\ud800 1\nbytes\n...".encode()
        assert (stream.fileno(), stream.isatty(), stream.encoding) == (given.fileno(), False, "utf-8")


def test_the_one_who_writes_is_a_thread_that_nobody_finds_who_replaces_threads(pipe: Pipe) -> None:
    """gevent's `patch_all()` fails in the import of a handler where there is another, also in a task process."""
    before = threading.enumerate()
    on(pipe[1]).put(LINE)

    assert read(pipe[0], lambda got: got == LINE) == LINE
    assert threading.enumerate() == before
