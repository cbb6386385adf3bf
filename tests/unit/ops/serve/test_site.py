"""What is answered under which path."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.ops.serve import happenings, site
from kafka_worker.ops.serve.watching import SILENT_SECONDS, Watch
from kafka_worker.ops.views import metrics
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.ipc.snapshot import Snapshot, as_json
from tests.unit import reports
from tests.unit.ops.serve.asking import Answer, Door, answer, visit

RUNNING = reports.slot(0, child=reports.child(tasks=[reports.TASK]))
SNAPSHOT = reports.snapshot(RUNNING)


def test_metrics_are_in_the_form_that_is_asked_for() -> None:
    plain = answer("/metrics", SNAPSHOT, accept="text/html, */*")
    modern = answer("/metrics", SNAPSHOT, accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3")

    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "kafka_worker_healthy" in {family.name for family in text_string_to_metric_families(plain.body)}
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "kafka_worker_healthy" in {family.name for family in open_families(modern.body)}  # type: ignore[no-untyped-call]


def test_an_accept_header_is_never_a_part_of_the_answer() -> None:
    found = answer("/metrics", SNAPSHOT, accept="application/openmetrics-text; version=9.9.evil; escaping=evil")

    assert found.status == 200
    assert "evil" not in str(found)


def test_the_snapshot_is_there_without_keys_unless_they_are_wanted() -> None:
    hidden = json.loads(answer("/api/v1/snapshot", SNAPSHOT).body)
    shown = json.loads(answer("/api/v1/snapshot", SNAPSHOT, given={"http_show_keys": "on"}).body)

    assert hidden["slots"][0]["child"]["tasks"][0]["key"] is None
    assert hidden["slots"][0]["child"]["tasks"][0]["offset"] == reports.TASK.offset
    assert shown == json.loads(json.dumps(as_json(SNAPSHOT)))


def test_neither_keys_nor_what_errors_say_is_told_anywhere_unless_they_are_wanted() -> None:
    trouble = f"the hook m.db can't be started: {quoted(KeyError(reports.TASK.key))} (the process)"
    snapshot = reports.snapshot(reports.slot(0, child=reports.child(tasks=[reports.TASK], trouble=trouble)))
    paths = ("/livez", "/readyz", "/metrics", "/api/v1/snapshot", "/api/v1/history", "/")

    told = [answer(path, snapshot, query="verbose").body for path in paths] + [json.dumps(streamed(snapshot))]
    shown = [answer(path, snapshot, query="verbose", given={"http_show_keys": "on"}).body for path in paths[1:4]]

    assert [text for text in told if str(reports.TASK.key) in text] == []
    assert "[!]trouble: slot 0: the hook m.db can't be started: KeyError: … (the process)\n" in told[1]
    assert [str(reports.TASK.key) in text for text in shown] == [True, False, True]


def test_a_stream_tells_each_new_snapshot_as_it_comes() -> None:
    later = [SNAPSHOT._replace(uptime=uptime) for uptime in (1.0, 2.0)]

    told = streamed(SNAPSHOT, *later)

    assert [each["uptime"] for each in told] == [SNAPSHOT.uptime, 1.0, 2.0]


def streamed(*snapshots: Snapshot) -> List[Any]:
    """What a stream tells when each comes as the one before was told."""
    coming = list(snapshots[1:])

    async def script(door: Door, watch: Watch) -> Answer:
        def see_next() -> bool:
            if coming:
                watch.see(as_json(coming.pop(0)))
                return False
            return True

        return await door.ask("/api/v1/events", after_piece=see_next)

    lines = visit(script, snapshots[0]).body.splitlines()
    assert set(lines[::3]) == {"event: snapshot"}
    return [json.loads(line[len("data: ") :]) for line in lines if line.startswith("data: ")]


EVENTS = {
    "began": 7.5,
    "newest": 9,
    "events": [
        {"number": 8, "event": "process-started", "message": "slot 1: started process 7"},
        {
            "number": 9,
            "event": "attempt-failed",
            "message": "failed (KeyError: customer-9)",
            "key_hash": "ab",
            "error_type": "KeyError",
        },
    ],
}


def told_events(query: str = "", mark: str = "", **settings: Any) -> List[Tuple[str, str, Any]]:
    """(kind, id, data) of all that a stream tells at once."""

    async def script(door: Door, _watch: Watch) -> Answer:
        return await door.ask("/api/v1/events", query=query, after_piece=lambda: True, last_event_id=mark)

    body: str = visit(script, SNAPSHOT, EVENTS, **settings).body
    said = [dict(line.partition(": ")[::2] for line in piece.splitlines()) for piece in body.split("\n\n") if piece]
    return [(each.get("event", ""), each.get("id", ""), json.loads(each.get("data", "null"))) for each in said]


def test_a_stream_tells_what_has_happened_from_where_it_broke_off_and_one_kind_alone_if_that_is_asked_for() -> None:
    both = [(kind, mark) for kind, mark, _ in told_events()]

    assert both == [("event", "7.5-8"), ("event", "7.5-9"), ("snapshot", "")]
    assert [mark for _, mark, _ in told_events("only=event", "7.5-8")] == ["7.5-9"]
    assert [mark for _, mark, _ in told_events("only=event", "3.0-8")] == ["7.5-8", "7.5-9"]  # of a service before this one
    assert [kind for kind, *_ in told_events("only=snapshot", "nonsense")] == ["snapshot"]


def test_a_stream_of_what_there_is_not_is_refused_with_what_there_is() -> None:
    async def script(door: Door, _watch: Watch) -> Answer:
        return await door.ask("/api/v1/events", query="only=events")

    answer = visit(script, SNAPSHOT, EVENTS)

    assert (answer.status, answer.body) == (400, "only is event or snapshot; without it, both come\n")


def test_texts_that_may_quote_a_message_are_not_told_unless_keys_are() -> None:
    hidden, shown = ([each for _, _, each in told_events("only=event", **given)] for given in ({}, {"http_show_keys": "on"}))

    assert hidden == [EVENTS["events"][0], {"number": 9, "event": "attempt-failed", "error_type": "KeyError"}]  # type: ignore[index]
    assert shown == EVENTS["events"]
    unable = {"number": 10, "event": "unable", "reason": "the registry: HTTPError: «customer-9»"}
    assert site.without_quotes(happenings.for_strangers(unable)) == {**unable, "reason": "the registry: HTTPError: …"}


def test_a_stream_without_news_says_that_it_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "BREATH_SECONDS", 0.01)

    assert answer("/api/v1/events", after_piece=lambda: True).body == ": still here\n\n"


def test_too_many_streams_are_refused_and_one_that_ends_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "MOST_STREAMS", 2)

    async def script(door: Door, _watch: Watch) -> List[int]:
        leave = asyncio.Event()
        streams = [asyncio.ensure_future(door.ask("/api/v1/events", after_piece=leave.is_set)) for _ in range(2)]
        while (refused := await door.ask("/api/v1/events", after_piece=lambda: True)).status == 200:
            pass
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
        return [refused.status, (await door.ask("/api/v1/events", after_piece=lambda: True)).status]

    assert visit(script, SNAPSHOT) == [503, 200]


def test_who_only_wants_the_head_of_a_stream_holds_no_place() -> None:
    assert answer("/api/v1/events", SNAPSHOT, method="HEAD").body == ""


def test_a_supervisor_that_is_silent_has_no_metrics_is_not_alive_and_its_snapshot_says_how_old_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(door: Door, _watch: Watch) -> List[Answer]:
        return [await door.ask(path) for path in ("/livez", "/readyz", "/metrics", "/api/v1/snapshot")]

    monkeypatch.setattr(Watch, "age", SILENT_SECONDS + 2)
    *silent, snapshot = visit(script, SNAPSHOT)

    assert [each.status for each in silent] == [503, 503, 503]
    assert all("no word of the supervisor for 12 s" in each.body for each in silent)
    assert (snapshot.status, snapshot.headers["age"]) == (200, "12")


def test_before_the_first_word_of_a_supervisor_all_say_so() -> None:
    for path in ("/livez", "/readyz", "/metrics", "/api/v1/snapshot"):
        found = answer(path)
        assert (found.status, "no word of the supervisor yet" in found.body) == (503, True)


def test_the_front_tells_what_paths_there_are_until_there_is_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(site, "STATIC", str(tmp_path))
    paths = answer("/", SNAPSHOT)
    (tmp_path / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "page.js").write_text("1")
    (tmp_path.parent / "outside").write_text("secret")

    assert "/readyz" in paths.body
    assert answer("/", SNAPSHOT).body == "<h1>page</h1>"
    assert answer("/page.js", SNAPSHOT).body == "1"
    for path in ("/../outside", "/..%2foutside", "/%2e%2e/outside", "//" + str(tmp_path.parent / "outside"), "/page.js/.."):
        assert answer(path, SNAPSHOT).status == 404


def test_what_is_made_of_a_snapshot_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[str] = []
    real = metrics.exposition

    def exposition(snapshot: Snapshot, form: str, also: str) -> Tuple[bytes, str]:
        made.append(form)
        return real(snapshot, form, also)

    async def script(door: Door, watch: Watch) -> None:
        for _ in range(3):
            await door.ask("/metrics")
        watch.see(as_json(SNAPSHOT))
        await door.ask("/metrics")

    monkeypatch.setattr(metrics, "exposition", exposition)
    visit(script, SNAPSHOT)

    assert len(made) == 2
