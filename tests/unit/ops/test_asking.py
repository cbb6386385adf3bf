"""Which service is meant, and what is said where none answers."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from kafka_worker.ops import asking
from kafka_worker.shared.ipc import control
from kafka_worker.shared.system import runtime_files
from tests.unit.fakes import some_settings

NOBODY = control.NotRunningError("no such file")
STOPPED = control.SilentError("process 7 is stopped")


@pytest.mark.parametrize(
    ("ours", "others", "raised"),
    [
        (NOBODY, [STOPPED, NOBODY], STOPPED),  # it may be ours, under the name that this machine had
        (NOBODY, [NOBODY, {"group": "another"}], NOBODY),
        (STOPPED, [control.SilentError("process 8 is")], STOPPED),
    ],
)
def test_that_somebody_does_not_answer_is_told_wherever_he_may_be_the_service_that_is_meant(
    ours: Exception, others: Any, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Dict[str, Any] = {"ours": ours, **{str(number): each for number, each in enumerate(others)}}

    def ask(path: str, _question: Any, **_: Any) -> Any:
        if isinstance(answers[path], Exception):
            raise answers[path]
        return answers[path]

    monkeypatch.setattr(control, "ask", ask)
    monkeypatch.setattr(runtime_files, "control_socket", lambda _settings: "ours")
    monkeypatch.setattr(runtime_files, "other_control_sockets", lambda _settings: list(answers)[1:])

    with pytest.raises(control.NotRunningError) as caught:
        asking.find(some_settings())
    assert caught.value is raised
