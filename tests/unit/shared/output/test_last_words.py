from __future__ import annotations

import contextlib
import os
import tempfile

import pytest

from kafka_worker.shared.output import last_words
from kafka_worker.shared.output.last_words import HEAD, TAIL, LastWords, because, while_


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


def test_what_a_process_is_at_is_left_behind_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "_AT", {})
    monkeypatch.setattr(last_words, "_WHY", [])
    with contextlib.closing(LastWords()) as words:
        monkeypatch.setattr(last_words, "_THERE", [words.fileno()])
        os.write(words.fileno(), b"Fatal Python error: Aborted")
        with while_("stopping the hook m.database"):
            with while_("calling the functions of atexit"):
                inside = words.how("exit 3")
            outside = words.how("exit 3")
        over = words.how("exit 3")
        for other_thread, name in enumerate(("m.session", "m.session", "ü" * last_words.NOTE)):
            last_words._AT[-other_thread] = f"starting the hook {name}"
        with while_("calling KAFKA_OAUTH=m:token"):
            at_once = words.how("exit 3")
        last_words._AT.clear()
        because("no task process can be had")
        with while_("calling the functions of atexit"):
            gives_up = words.how("exit 75")

        assert (inside, outside, over) == (
            "exit 3, while calling the functions of atexit", "exit 3, while stopping the hook m.database", "exit 3",
        )  # fmt: skip
        assert at_once.startswith("exit 3, while starting the hook m.session, starting the hook üü")
        assert gives_up == "exit 75: no task process can be had, while calling the functions of atexit"
        assert words.how("exit 75") == "exit 75: no task process can be had"
        assert words.read() == "Fatal Python error: Aborted"
