from __future__ import annotations

import pytest

from kafka_worker.shared.exit_codes import described


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit 0 (ok)"),
        (70, "exit 70 (fault)"),
        (75, "exit 75 (gave up)"),
        (76, "exit 76 (fenced)"),
        (77, "exit 77 (not authorised)"),
        (78, "exit 78 (configuration)"),
        (1, "exit 1"),
        (-9, "killed by SIGKILL"),
        (-6, "killed by SIGABRT"),
        (-63, "killed by signal 63"),
    ],
)
def test_an_exit_status_is_described_in_words(status: int, words: str) -> None:
    assert described(status) == words
