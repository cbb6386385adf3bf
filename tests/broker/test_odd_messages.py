"""Messages as nobody wants them, and yet they come. One run of the real command over all of them; each test is one promise."""

from __future__ import annotations

import json
import time
from typing import Callable, Dict, List, NamedTuple

import pytest

from tests.support.admin import Admin, Headers, Record, Row
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.ledger import Entry
from tests.support.raw_producer import produce_raw
from tests.support.service import Service

PARTITIONS = 2
LARGE = 5_000_000
ROOM = {"max.message.bytes": "12000000"}
OURS = "dead-letter."
NAMES = (
    "topic", "partition", "offset", "timestamp", "group", "error", "error-class", "error-message", "traceback", "attempts",
    "first-failed-at", "last-failed-at", "host", "slot",
)  # fmt: skip
WRITTEN_HEADERS: Headers = [("twice", b"1"), ("twice", b"2"), ("none", None), ("empty", b""), ("bytes", b"\xff\x00")]


def json_of_depth(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


READABLE: Dict[str, Row] = {
    "tombstone": (b"gone", None, None),
    "null": (b"null", b"null", None),
    "null key": (None, b'"null key"', None),
    "empty key": (b"", b'"empty key"', None),
    "key that is not UTF-8": (b"\xff\xfe", b'"key"', None),
    "odd headers": (b"headers", b'"headers"', WRITTEN_HEADERS),
    "half of a surrogate pair": (b"surrogate", b'"\\ud800"', None),
    "large": (b"large", json.dumps("x" * LARGE).encode(), None),
}
UNREADABLE: Dict[str, Row] = {
    "empty": (b"empty", b"", None),
    "not UTF-8": (b"latin", b'"\xe9"', None),
    "not JSON": (b"text", b"hello", None),
    "cut off": (b"cut", b'{"id": ', None),
    "a byte order mark": (b"bom", b"\xef\xbb\xbf{}", None),
    "nested deeply": (b"deep", json_of_depth(100_000), None),
    "large and not JSON": (b"large", b"\x00" * LARGE, None),
    "null key, not JSON": (None, b"?", None),
    "empty key, not JSON": (b"", b"?", None),
    "key that is not UTF-8, not JSON": (b"\xff\xfe", b"?", None),
    "odd headers, not JSON": (b"headers", b"?", WRITTEN_HEADERS),
    "forged headers, not JSON": (b"forged", b"?", [("dead-letter.error", b"forged"), ("real", b"1")]),
}
# A number of so many digits is refused by newer Pythons only.
EITHER: Dict[str, Row] = {"integer of 5,000 digits": (b"integer", b"9" * 5000, None)}


class Aftermath(NamedTuple):
    """What is there when everything was dealt with."""

    sent: Dict[str, Record]
    neighbours: List[Record]
    entries: List[Entry]
    letters: List[Record]
    children: List[Dict[int, int]]  # at the beginning and at the end
    log: str

    def runs(self, record: Record) -> List[Entry]:
        return [e for e in self.entries if (e.event, e.partition, e.offset) == ("end", record.partition, record.offset)]

    def letters_of(self, record: Record) -> List[Record]:
        place = {"dead-letter.partition": b"%d" % record.partition, "dead-letter.offset": b"%d" % record.offset}
        return [letter for letter in self.letters if place.items() <= dict(letter.headers).items()]


@pytest.fixture(scope="module")
def aftermath(kafka: Cluster) -> Aftermath:
    admin = Admin(kafka.bootstrap)
    topic = admin.create_topic(partitions=PARTITIONS, config=ROOM)
    admin.create_topic(topic + ".dlq", partitions=1, config=ROOM)
    group = "group-of-" + topic
    odd = {**READABLE, **UNREADABLE, **EITHER}
    rows: List[Row] = [row for each in odd.values() for row in ((b"good", b"1", None), each)]
    places = admin.produce(topic, rows, {"message.max.bytes": 12_000_000})
    by_place = {(record.partition, record.offset): record for record in admin.records(topic)}
    written_before = time.time()
    with Service(kafka.bootstrap, topic, group, processes=1, handler="tests.support.handlers:anything") as service:
        service.wait_ready(partitions=PARTITIONS)
        assert all(record.timestamp <= written_before * 1000 for record in by_place.values())
        before = service.children()
        eventually(lambda: admin.lag(group, topic) == 0, 60, "everything is dealt with and committed")
        records = [by_place[place] for place in places]
        found = Aftermath(
            dict(zip(odd, records[1::2])), records[::2], list(service.ledger.entries()), admin.records(topic + ".dlq"),
            [before, service.children()], service.log,
        )  # fmt: skip
        service.terminate()
        assert service.wait(20) == 0
    admin.delete_topics([topic, topic + ".dlq"])
    return found


@pytest.mark.parametrize("name", READABLE)
def test_what_is_json_is_processed_once(aftermath: Aftermath, name: str) -> None:
    record = aftermath.sent[name]

    assert len(aftermath.runs(record)) == 1
    assert not aftermath.letters_of(record)


@pytest.mark.parametrize("name", ["tombstone", "null"])
def test_a_tombstone_is_handed_over_as_none(aftermath: Aftermath, name: str) -> None:
    assert [entry.id for entry in aftermath.runs(aftermath.sent[name])] == ["None"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_json_becomes_one_dead_letter_at_once(aftermath: Aftermath, name: str) -> None:
    letters = aftermath.letters_of(aftermath.sent[name])

    assert not aftermath.runs(aftermath.sent[name])
    assert len(letters) == 1
    assert dict(letters[0].headers)["dead-letter.attempts"] == b"1"  # trying again would not help


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_dead_letter_has_the_bytes_key_headers_and_time_of_its_message(aftermath: Aftermath, name: str) -> None:
    record = aftermath.sent[name]
    letter = aftermath.letters_of(record)[0]
    theirs = [header for header in letter.headers if not header[0].startswith(OURS)]

    assert (letter.value, letter.key, letter.timestamp) == (record.value, record.key, record.timestamp)
    assert theirs == [header for header in record.headers if not header[0].startswith(OURS)]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_dead_letter_says_where_it_comes_from_and_why(aftermath: Aftermath, name: str) -> None:
    record = aftermath.sent[name]
    ours = [header for header in aftermath.letters_of(record)[0].headers if header[0].startswith(OURS)]

    assert [header[0] for header in ours] == [OURS + each for each in NAMES]  # each once, also where they were forged
    assert b"UndecodableError" in (dict(ours)["dead-letter.error"] or b"")


def test_an_integer_of_5000_digits_is_processed_or_becomes_a_dead_letter(aftermath: Aftermath) -> None:
    record = aftermath.sent["integer of 5,000 digits"]

    assert len(aftermath.runs(record)) + len(aftermath.letters_of(record)) == 1


def test_the_neighbours_of_odd_messages_are_processed_once(aftermath: Aftermath) -> None:
    assert len(aftermath.neighbours) == len(aftermath.sent)
    assert [len(aftermath.runs(record)) for record in aftermath.neighbours] == [1] * len(aftermath.sent)


def test_the_process_survives_odd_messages(aftermath: Aftermath) -> None:
    before, afterwards = aftermath.children

    assert before
    assert before == afterwards
    assert "Fault" not in aftermath.log
    assert "--- Logging error ---" not in aftermath.log


def test_a_header_name_that_is_not_utf8_costs_its_own_message_only(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    """The Python client can't return such headers, and crashes the process when it is asked for them twice."""
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    for value in (b"1", b"not JSON"):
        produce_raw(admin.bootstrap, name, b"odd", value, b"name\xff\xfe")
        admin.produce(name, [(b"good", b"2", None)])
    running = service(name, group, processes=1, handler="tests.support.handlers:anything").start()
    before = running.wait_ready(partitions=1).children()

    eventually(lambda: admin.lag(group, name) == 0, 30, "everything is dealt with and committed")

    stored = admin.records(letters)
    assert [(letter.key, letter.value) for letter in stored] == [(b"odd", b"1"), (b"odd", b"not JSON")]
    assert all("headers-lost" in dict(letter.headers) for letter in stored)
    assert running.ledger.done() == ["2"]
    assert running.children() == before
