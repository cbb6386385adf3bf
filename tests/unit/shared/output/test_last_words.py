from __future__ import annotations

import contextlib
import os
import tempfile

import pytest

from kafka_worker.shared.output.last_words import HEAD, TAIL, LastWords


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"", ""),
        (b"Fatal\n\nThread\n  File\n\nExtension modules: a, b\n", "Fatal\n\nThread\n  File"),
        (b"a" * 9000 + b"b" * 9000, f"{'a' * HEAD}\n...\n{'b' * TAIL}"),
    ],
)
def test_last_words_need_no_place_on_disk_and_are_read_without_what_nobody_wants(
    monkeypatch: pytest.MonkeyPatch, written: bytes, read: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with contextlib.closing(LastWords()) as words:
        os.write(words.fileno(), written)

        assert words.read() == read
