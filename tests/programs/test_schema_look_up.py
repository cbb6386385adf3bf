"""Who asks a schema registry, when, and what is made of its answer, for all threads of a process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kafka_worker.handler.formats import registry as formats_registry
from kafka_worker.handler.formats.registry import (
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    STALE_SECONDS,
    UNKNOWN_SECONDS,
    RegistryAwayError,
    SchemaRegistry,
    UnknownSchemaError,
)
from kafka_worker.shared.foreign.errors import UndecodableError
from tests.support.eventually import eventually


@pytest.fixture(autouse=True, scope="module")
def _libraries() -> None:
    """Not imported with this file, as each pytest collects it and one runs it: a registry makes a client at once."""
    pytest.importorskip("fastavro", reason="what requirements-schema-registry.txt names is not installed")


def test_of_a_schema_that_stays_unknown_messages_have_no_further_attempts_and_it_is_asked_for_now_and_then() -> None:
    """So they keep nobody waiting; and one that was registered a moment ago still has its time."""
    now, asked = [100.0], []
    registry = SchemaRegistry((("url", "http://registry"),), lambda: now[0])

    def outcome(schema: int, after: float = 0.0) -> Any:
        now[0] += after

        def ask() -> Any:
            asked.append(schema)
            raise registry._refused(404, 40403, "Schema not found")

        with pytest.raises(Exception, match=f"at http://registry knows no schema {schema}: Schema not found") as told:
            registry.look_up(schema, ask)
        return told.type

    assert [outcome(17) for _ in range(3)] == 3 * [UnknownSchemaError]
    assert asked == [17]
    assert [outcome(17, PATIENCE_SECONDS), outcome(17), outcome(18)] == [
        UndecodableError,
        UndecodableError,
        UnknownSchemaError,
    ]
    assert asked == [17, 17, 18]
    assert outcome(17, STALE_SECONDS) is UnknownSchemaError
    now[0] += UNKNOWN_SECONDS
    assert registry.look_up(17, lambda: "a schema") == "a schema"


def test_while_it_is_away_one_asks_now_and_then_and_nobody_waits_for_the_answer() -> None:
    now, asked, release = [100.0], [], threading.Event()
    registry = SchemaRegistry((("url", "http://registry"),), lambda: now[0])

    def ask(*, answers: bool = False) -> str:
        asked.append(now[0])
        if not answers:
            raise ConnectionRefusedError("down")
        release.wait(10)
        return "a schema"

    for seconds in (0.0, 0.0, PAUSE_SECONDS - 0.1, 0.1, 0.0):
        now[0] += seconds
        with pytest.raises(RegistryAwayError, match="the schema registry at http://registry: ConnectionRefusedError: «down»"):
            registry.look_up(7, ask)
    assert asked == [100.0, 100.0 + PAUSE_SECONDS]

    now[0] += PAUSE_SECONDS
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(registry.look_up, 7, lambda: ask(answers=True))
        eventually(lambda: len(asked) == 3, 10, "another thread asks")
        with pytest.raises(RegistryAwayError):
            registry.look_up(7, ask)
        release.set()
        assert answer.result() == "a schema"
    assert registry.look_up(7, lambda: "at once") == "at once"


def that_was_away() -> SchemaRegistry:
    """One that may be asked again."""
    now = [100.0]
    registry = SchemaRegistry((("url", "http://registry"),), lambda: now[0])
    with pytest.raises(RegistryAwayError):
        registry.look_up(7, lambda: refusing(ConnectionRefusedError("down")))
    now[0] += PAUSE_SECONDS
    return registry


def refusing(error: BaseException) -> Any:
    raise error


def test_one_that_knows_no_such_schema_is_not_away_and_others_wait_for_its_next_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats_registry, "LONGEST_LOOK_UP", 0.01)
    registry = that_was_away()
    with pytest.raises(UnknownSchemaError):
        registry.look_up(7, lambda: refusing(registry._refused(404, 40403, "Schema not found")))

    with registry._asking, pytest.raises(RegistryAwayError, match=r"http://registry: no answer within 0.01 s"):
        registry.look_up(8, lambda: "in vain")


def test_who_got_an_answer_does_not_undo_what_the_next_one_to_ask_has_found() -> None:
    registry = that_was_away()

    class Interrupted:
        """A lock; before whoever has it goes on, another one asks."""

        def acquire(self, timeout: float) -> bool:
            return True

        def release(self) -> None:
            registry._asking = threading.Lock()
            with pytest.raises(RegistryAwayError):
                registry.look_up(7, lambda: refusing(ConnectionResetError("down again")))

    registry._asking = Interrupted()  # type: ignore[assignment]
    assert registry.look_up(7, lambda: "a schema") == "a schema"

    with pytest.raises(RegistryAwayError, match="down again"):
        registry.look_up(7, lambda: "too early")
