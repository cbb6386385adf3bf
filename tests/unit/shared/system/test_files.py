"""Files that settings name: whatever they are, they are read, or a fault."""

from __future__ import annotations

import os
import select
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from kafka_worker.shared.system import files


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    return path


def test_a_text_has_no_mark_of_byte_order_and_no_other_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("\ufeffsecr\u00e9t\r\nmore\n".encode())

    assert files.text(str(tmp_path / "file")) == "secr\u00e9t\nmore\n"


def test_what_somebody_writes_into_a_pipe_is_read_whole(pipe: str) -> None:
    with ThreadPoolExecutor() as threads:
        found = threads.submit(files.content, pipe)
        with open(pipe, "wb") as end:
            end.write(b"a" * 100_000)
            end.flush()
            end.write(b"b")

    assert found.result() == b"a" * 100_000 + b"b"


def test_a_pipe_into_which_nobody_writes_is_a_fault_and_no_standstill(pipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.01)

    with pytest.raises(OSError, match=f"nobody has written to this pipe, and ended, within 0.01 s: '{pipe}'"):
        files.text(pipe)


def test_who_writes_into_a_pipe_now_and_then_is_waited_for_no_longer(pipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is always said that there is more, and there is."""
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    looks = SimpleNamespace(register=lambda *_: None, poll=lambda _: os.write(end, b"a"))
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.005)
    monkeypatch.setattr(select, "poll", lambda: looks)

    with pytest.raises(TimeoutError, match="nobody has written to this pipe, and ended, within"):
        files.content(pipe)
    os.close(end)


def test_what_has_no_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST", 1 << 20)

    with pytest.raises(OSError, match="more than 1 MB: '/dev/zero'"):
        files.content("/dev/zero")
