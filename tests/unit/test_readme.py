"""The handler and the test that README shows do what it says, as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, ClassVar, Dict, Iterator, List

import pytest

from kafka_worker.handler.hooks import Registry
from kafka_worker.testing import TestWorker

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MODULE = "mypackage.tasks"


class Session:
    """In the place of one of requests."""

    opened: ClassVar[List[int]] = []

    def __enter__(self) -> Session:  # noqa: PYI034 (typing.Self needs Python 3.11)
        self.opened.append(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.pop()

    def post(self, url: str, json: Any, timeout: float) -> SimpleNamespace:
        assert (url, json, timeout, self.opened) == ("http://renderer/jobs", "ocean", 60, [1])
        return SimpleNamespace(status_code=200, raise_for_status=lambda: None)


class Busy:
    """The first time."""

    def __init__(self, retry_after: int) -> None:
        self._answers = [
            SimpleNamespace(status_code=429, headers={"Retry-After": str(retry_after)}),
            SimpleNamespace(status_code=200, raise_for_status=lambda: None),
        ]

    def post(self, *_: object, **__: object) -> SimpleNamespace:
        return self._answers.pop(0)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch, defined: Registry) -> Iterator[Dict[str, Any]]:
    """What is in the module that README shows."""
    (shown,) = [block for block in BLOCKS if f"# {MODULE.replace('.', '/')}.py" in block]
    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(Session=Session))
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(shown, vars(module))
    yield vars(module)
    assert defined.per_thread
    assert Session.opened == []


@pytest.mark.usefixtures("tasks")
def test_the_handler_renders_and_rejects_what_it_can_not(worker_for: Callable[..., TestWorker]) -> None:
    worker = worker_for(f"{MODULE}:process_message")

    assert worker.run({"scenario": "ocean"}).done
    assert worker.run({}).dead_letter.reason == "rejected"  # type: ignore[union-attr]


def test_its_test_passes(tasks: Dict[str, Any], worker_for: Callable[..., TestWorker]) -> None:
    (shown,) = [block for block in BLOCKS if "worker_for" in block]
    names: Dict[str, Any] = {"renderer": tasks["renderer"], "Busy": Busy}
    exec(shown, names)
    names["test_a_busy_renderer_is_asked_again_when_it_says"](worker_for)
