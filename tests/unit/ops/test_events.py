"""The command `events`, in front of a service that says what the test has it say."""

from __future__ import annotations

import json
import select
from typing import Any, List

import pytest

from kafka_worker.ops import asking, events
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.ipc.control import NotRunningError
from kafka_worker.shared.ipc.recent import Recent

EVENT = {"time": "2026-11-26T10:00:00.123+00:00", "level": "INFO", "event": "process-started", "process": "supervisor"}
QUIET: List[Any] = []


class Service:
    """What is asked of it, one question after the other; an error: it does not run."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: List[Any] = []

    def ask(self, command: str, request: Any) -> Any:
        self.asked.append((command, request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def kept(*messages: str, began: float = 1.0) -> Any:
    recent = Recent(began)
    recent.hear({**EVENT, "message": message} for message in messages)
    return recent.asked({})()


def run(service: Service, patch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code; with --follow it ends when the service has nothing more to say."""
    patch.setattr(asking, "find", lambda _settings: service)
    patch.setattr(select, "poll", lambda: Poll(service))
    return events.run(load(["events", "--group", "group", *words], {}, "no.env"))


class Poll:
    def __init__(self, service: Service) -> None:
        self._service = service

    def register(self, *_: Any) -> None: ...

    def poll(self, _milliseconds: float) -> List[Any]:
        return QUIET if self._service.answers else [1]


def test_the_last_ones_are_shown_with_time_process_word_and_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(Service(kept("first", "slot 1: started\x1b[2J\nprocess 7", "last")), monkeypatch, "-n", "2")

    assert code == 0
    assert [line.split()[2:] for line in capsys.readouterr().out.splitlines()] == [
        ["INFO", "supervisor", "process-started", "slot", "1:", "started\\x1b[2J", "process", "7"],
        ["INFO", "supervisor", "process-started", "last"],
    ]


def test_whoever_follows_is_told_what_comes_of_the_next_service_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(events, "SignalInbox", lambda _numbers: object())
    gone = NotRunningError("no supervisor answers")
    service = Service(
        kept("one"), {**kept("one", "two"), "events": [{**EVENT, "message": "two"}]}, gone, gone, kept("three", began=2.0)
    )

    assert run(service, monkeypatch, "--follow", "--json") == 0
    said = capsys.readouterr()
    assert [json.loads(line)["message"] for line in said.out.splitlines()] == ["one", "two", "three"]
    assert said.err == "Not running: no supervisor answers\n"
    assert [request.get("after") for _, request in service.asked] == [None, 1, 2, 2, 2]


def test_whoever_follows_looks_for_the_service_anew_only_when_it_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SignalInbox", lambda _numbers: object())
    gone = NotRunningError("no supervisor answers")
    looks: List[int] = []  # how many answers were still to come
    first, second = Service(kept("one"), kept("one"), kept("one"), gone), Service(kept("two", began=2.0), kept(began=2.0))

    def find(_settings: Any) -> Service:
        looks.append(len(first.answers))
        if first.answers:
            return first
        if len(looks) == 2:
            raise gone
        return second

    monkeypatch.setattr(asking, "find", find)
    monkeypatch.setattr(select, "poll", lambda: Poll(second))

    assert events.run(load(["events", "--group", "group", "--follow"], {}, "no.env")) == 0
    assert looks == [4, 0, 0]
    assert second.answers == []


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (NotRunningError("no supervisor answers"), 2, "Not running: no supervisor answers"),
        ({"error": "unknown command"}, 1, "The service that runs keeps no events: unknown command"),
    ],
)
def test_where_there_are_none_to_tell_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, code: int, said: str
) -> None:
    assert run(Service(answer), monkeypatch) == code
    assert said in capsys.readouterr().err
