"""Spans of the real command, for handlers in threads and in task processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Set, Tuple

import pytest

from tests.support.eventually import eventually
from tests.support.scene import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin, Record
    from tests.support.service import Service

pytestmark = pytest.mark.processes

CALLS = {"work": 1, "fail": 2, "later": 2, "fork": 1}  # how often a message of each kind is called


class Traced:
    """A service on a topic of its own with two messages of each kind, of which one brings a context."""

    def __init__(
        self, admin: Admin, topic: str, group: str, folder: Path, make: Callable[..., Service], isolation: str
    ) -> None:
        self.admin, self.topic, self.spans = admin, topic, folder / isolation
        for suffix in (".dlq", ".retry.1s", ".results"):
            admin.create_topic(topic + suffix, partitions=1)
        self.brought = {f"{do}-traced": f"{number:032x}" for number, do in enumerate(CALLS, 1)}
        self.ids = [*self.brought, *(f"{do}-untraced" for do in CALLS)]
        admin.produce(topic, map(self._row, self.ids))
        settings = {
            "ISOLATION": isolation, "SPANS": str(self.spans), "TRACING": "on", "LOG_FORMAT": "json", "MAX_ATTEMPTS": "2",
            "RETRY_TOPICS": "1s", "RETRY_BACKOFF_SECONDS": "0.1",
        }  # fmt: skip
        self.service = make(
            topic, f"{group}-{isolation}", handler="tests.support.traced_handlers:work", processes=1, threads=2, env=settings
        ).start()

    def _row(self, name: str) -> Any:
        trace_id = self.brought.get(name)
        headers = [("traceparent", f"00-{trace_id}-{'c' * 16}-01".encode())] if trace_id else None
        return name.encode(), json.dumps({"id": name, "do": name.split("-", maxsplit=1)[0]}).encode(), headers

    def is_done(self) -> bool:
        counts = [sum(self.admin.end_offsets(self.topic + suffix).values()) for suffix in (".results", ".dlq")]
        return counts == [len(self.ids) - 2, 2]

    def ended(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self.spans.read_text().splitlines()]

    def passed_on(self) -> List[Record]:
        return [record for suffix in (".results", ".dlq", ".retry.1s") for record in self.admin.records(self.topic + suffix)]

    def logged(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self.service.log.splitlines() if line.startswith("{")]


def traces(spans: List[Dict[str, Any]]) -> Dict[str, Set[str]]:
    """The traces of each message's calls."""
    found: Dict[str, Set[str]] = {}
    for span in spans:
        found.setdefault(span["attributes"]["id"], set()).add(span["context"]["trace_id"][2:])
    return found


def test_all_calls_of_a_message_and_all_that_is_passed_on_are_one_trace_which_an_orderly_end_exports(
    admin: Admin, topic: Callable[..., str], group: str, tmp_path: Path, service: Callable[..., Service]
) -> None:
    both = [Traced(admin, topic(partitions=2), group, tmp_path, service, isolation) for isolation in ("none", "process")]
    for each in both:
        eventually(each.is_done, SECONDS, "all is done, or a dead letter")
        assert not each.spans.exists()  # they are exported at the end
        each.service.terminate()

    for each in both:
        assert each.service.wait(SECONDS) == 0
        ended = each.ended()
        calls = [span for span in ended if span["name"] == f"process {each.topic}"]
        of_message = traces(calls)
        assert {span["name"] for span in ended} == {f"process {each.topic}", f"create {each.topic}.results"}
        assert len({(span["context"]["trace_id"], span["context"]["span_id"]) for span in ended}) == len(ended)
        assert {name: len(found) for name, found in of_message.items()} == dict.fromkeys(each.ids, 1)
        assert [name for name in each.ids if each.brought.get(name, "") not in ("", *of_message[name])] == []
        counts = {name: sum(span["attributes"]["id"] == name for span in calls) for name in each.ids}
        assert counts == {name: CALLS[name.split("-")[0]] for name in each.ids}
        assert told(each.passed_on()) == {(name, *found) for name, found in of_message.items()}
        lines = {line["message"].split()[-1]: line for line in each.logged() if "works on" in line["message"]}
        assert {name: {lines[name]["trace_id"]} for name in each.ids} == of_message
        assert {line["trace_id"] for line in each.logged() if line.get("event") == "dead-letter"} == {
            *of_message["fail-traced"], *of_message["fail-untraced"],
        }  # fmt: skip


def told(records: List[Record]) -> Set[Tuple[str, str]]:
    """The message that each came of, and the trace in its headers."""
    return {((record.key or b"").decode(), str(dict(record.headers)["traceparent"]).split("-")[1]) for record in records}
