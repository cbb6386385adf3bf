"""Who may see what."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from kafka_worker.ops.serve import guard
from kafka_worker.ops.serve.guard import COOKIE, FOR_EVERYBODY, cookie_of
from kafka_worker.shared import http_settings
from tests.unit import reports
from tests.unit.ops.serve.asking import Answer, Door, answer, visit

SNAPSHOT = reports.snapshot(reports.slot(0))
TOKEN = "a token of sixteen or more"
CLOSED = ("/", "/api/v1/snapshot", "/api/v1/events", "/api/v1/history", "/nothing")


@pytest.fixture
def locked(tmp_path: Path) -> Dict[str, Any]:
    """Settings of a site that wants a token."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    return {"http": "0.0.0.0:8080", "http_token_file": str(tmp_path / "token")}


@pytest.mark.parametrize("path", FOR_EVERYBODY)
def test_probes_and_metrics_are_for_everybody(path: str, locked: Dict[str, Any]) -> None:
    assert answer(path, SNAPSHOT, given=locked).status == 200
    assert answer(path, SNAPSHOT, given={"http": "[::]:8080"}).status == 200


@pytest.mark.parametrize("path", [*CLOSED, "/metrics/../api/v1/snapshot", "//metrics", "/metrics/", "/livez%2f..", "/Metrics"])
def test_everything_else_wants_the_token_where_others_come(path: str, locked: Dict[str, Any]) -> None:
    assert answer(path, SNAPSHOT, given=locked).status == 401
    assert answer(path, SNAPSHOT, given=locked, authorization="Bearer " + TOKEN[:-1]).status == 401
    assert answer(path, SNAPSHOT, given=locked, authorization="Basic " + TOKEN).status == 401
    assert answer(path, SNAPSHOT, given=locked, cookie=f"{COOKIE}={TOKEN}").status == 401
    assert answer(path, SNAPSHOT, given={"http": "0.0.0.0:8080"}).status == 403


def test_on_this_machine_alone_a_token_is_wanted_only_where_there_is_one(locked: Dict[str, Any]) -> None:
    for address in ("127.0.0.1:8080", "127.8.8.8:8080", "[::1]:8080", "localhost:8080"):
        assert answer("/api/v1/snapshot", SNAPSHOT, given={"http": address}).status == 200
        assert answer("/api/v1/snapshot", SNAPSHOT, given={**locked, "http": address}).status == 401


def test_the_token_opens_as_a_bearer(locked: Dict[str, Any]) -> None:
    assert answer("/api/v1/snapshot", SNAPSHOT, given=locked, authorization="Bearer " + TOKEN).status == 200


def test_a_token_file_that_does_not_answer_keeps_nobody_else_waiting(
    locked: Dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    reading: List[str] = []
    monkeypatch.setattr(guard, "READ_SECONDS", 0.02)

    def read(path: str) -> str:
        reading.append(path)
        answers.wait(10)
        return TOKEN

    monkeypatch.setattr(http_settings, "token", read)

    async def script(door: Door, _watch: Any) -> List[Answer]:
        asked = [asyncio.ensure_future(door.ask("/api/v1/snapshot")) for _ in range(3)]
        await asyncio.sleep(0)
        meanwhile = await door.ask("/metrics")
        assert not any(each.done() for each in asked)
        refused = await asyncio.gather(*asked)
        answers.set()
        return [meanwhile, *refused]

    found = visit(script, SNAPSHOT, **locked)

    assert [each.status for each in found] == [200, 503, 503, 503]
    assert len(reading) == 1, "all wait for one reading"


def test_a_token_file_is_read_again_when_the_machine_has_room_for_a_thread(
    locked: Dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    async def script(door: Door, _watch: Any) -> List[Answer]:
        with monkeypatch.context() as full:
            full.setattr(threading, "Thread", NoThread)
            refused = await door.ask("/api/v1/snapshot")
        return [refused, await door.ask("/api/v1/snapshot", authorization="Bearer " + TOKEN)]

    assert [each.status for each in visit(script, SNAPSHOT, **locked)] == [503, 200]


def login(door: Door, token: str, **how: Any) -> Any:
    return door.ask("/login", method="POST", body=f"token={token.replace(' ', '+')}".encode(), **how)


def test_a_browser_is_led_to_a_form_and_has_a_cookie_for_the_token(locked: Dict[str, Any]) -> None:
    async def script(door: Door, _watch: Any) -> List[Answer]:
        lost = await door.ask("/", accept="text/html,*/*")
        form = await door.ask("/login")
        wrong = await login(door, "something else altogether")
        right = await login(door, TOKEN)
        inside = await door.ask("/api/v1/snapshot", cookie=right.headers["set-cookie"].partition(";")[0])
        return [lost, form, wrong, right, inside]

    lost, form, wrong, right, inside = visit(script, SNAPSHOT, **locked)

    assert (lost.status, lost.headers["location"]) == (303, "/login")
    assert (form.status, "<form" in form.body) == (200, True)
    assert (wrong.status, wrong.headers.get("set-cookie")) == (401, None)
    assert (right.status, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert inside.status == 200


def test_another_token_ends_what_the_one_before_has_opened(locked: Dict[str, Any]) -> None:
    file = Path(locked["http_token_file"])

    def replace() -> None:
        file.write_text("another token, as long as it must be")

    async def script(door: Door, _watch: Any) -> List[int]:
        cookie = f"{COOKIE}={cookie_of(TOKEN)}"
        before = await door.ask("/api/v1/snapshot", cookie=cookie)
        replace()
        after = await door.ask("/api/v1/snapshot", cookie=cookie)
        os.unlink(file)
        return [before.status, after.status, (await door.ask("/api/v1/snapshot", cookie=cookie)).status]

    assert visit(script, SNAPSHOT, **locked) == [200, 401, 503]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1:8080", 200), ("10.1.2.3", 200), ("[::1]:8080", 200),
        ("[fe80::1]", 200), ("host-a:8080", 200), ("ops.example.org", 200), ("a.below.example.org:80", 200),
        (None, 200),  # HTTP/1.0, as some load balancers ask; browsers always say one
        ("", 400), ("evil.example.com", 400), ("below.example.org", 400), ("localhost.evil.example", 400), ("a b", 400),
        ("127.0.0.1.evil.example", 400), ("localhost:8080:9", 400), ("[::1", 400), ("localhost/livez", 400),
    ],
)  # fmt: skip
def test_who_asks_for_another_name_is_not_meant(host: Optional[str], status: int) -> None:
    """A page of a stranger could lead its own name here, and read what it is answered."""
    given = {"host": "host-a", "http_hosts": ("ops.example.org", "*.below.example.org")}

    assert answer("/api/v1/snapshot", SNAPSHOT, given=given, host=host).status == status


def test_a_host_that_is_made_to_look_like_a_path_opens_nothing(locked: Dict[str, Any]) -> None:
    for host in ("localhost/livez?", "localhost/livez#", "localhost/login?"):
        assert answer("/api/v1/snapshot", SNAPSHOT, given={**locked, "http_hosts": ("*",)}, host=host).status == 400


def test_headers_and_targets_that_are_too_large_are_refused_and_so_are_forms(locked: Dict[str, Any]) -> None:
    assert answer("/livez", SNAPSHOT, x="y" * 20_000).status == 431
    assert answer("/livez", SNAPSHOT, query="y" * 20_000).status == 431
    assert answer("/login", SNAPSHOT, given=locked, method="POST", body=b"token=" + b"y" * 20_000).status == 413


@pytest.mark.parametrize("path", [*FOR_EVERYBODY, *(path for path in CLOSED if "events" not in path), "/login"])
def test_every_answer_tells_browsers_to_run_nothing_of_others(path: str) -> None:
    headers = answer(path, SNAPSHOT).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["connection"] == "close"
    assert "server" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_from_here(method: str) -> None:
    for path in (*FOR_EVERYBODY, "/", "/api/v1/snapshot", "/api/v1/events"):
        assert answer(path, SNAPSHOT, method=method).status == 405
