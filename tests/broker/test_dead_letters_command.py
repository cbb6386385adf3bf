"""`supervisor.py dead-letters`: an operator looks at what failed, mends the cause, and has it done."""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, Dict, List

import pytest

from kafka_worker.ops import commands, connection
from kafka_worker.ops.dead_letters import turn
from kafka_worker.ops.dead_letters.cluster import Cluster
from kafka_worker.shared.configuration.load import load
from tests.support.answering import command_settings
from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin, Headers, Row
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 60.0


class Desk:
    """Where an operator sits: a topic with its dead letters, and the command. What the command prints is returned."""

    def __init__(self, admin: Admin, topic: str, group: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.admin, self.topic, self.group, self._capsys = admin, topic, group, capsys
        self.dlq = admin.create_topic(topic + ".dlq", partitions=2)

    def does(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        found = commands.main(["dead-letters", *words])
        said = self._capsys.readouterr()
        assert found == code, said.out + said.err
        return said.out + said.err

    def letters(self, *words: str) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self.does("list", "--json", *words).splitlines()]

    def wait_handled(self) -> None:
        eventually(lambda: self.admin.lag(self.group, self.topic) == 0, SECONDS, "everything has its outcome")


@pytest.fixture
def desk(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Desk:
    name = topic(partitions=2)
    command_settings(monkeypatch, tmp_path, admin.bootstrap, group, name)
    return Desk(admin, name, group, capsys)


def test_what_failed_is_listed_shown_replayed_once_and_dropped(desk: Desk, engine: Callable[..., Engine]) -> None:
    troubled = [message(f"mended-{n}", key=f"key-{n}", trouble="raise", times=1) for n in range(5)]
    hopeless = message("hopeless", key="key-x", trouble="reject")
    desk.admin.produce(desk.topic, [each.row for each in [*troubled, hopeless]])
    desk.admin.produce(desk.topic, [(b"key-j\x1b[2J", b"not \x07 JSON", [("name", b"\x1b]0;evil\x07")])])
    running = engine(desk.topic, desk.group, max_attempts=1).start()
    desk.wait_handled()

    (found,) = desk.letters("--error", "reject:")
    assert found["from"]["topic"] == desk.topic
    listed = desk.does("list")
    assert f"{desk.dlq}: 7 letters open" in listed
    assert "TroubleError: message mended-0 says so" in listed
    assert "\x1b" not in listed
    assert "no letters open that fit" in desk.does("list", "--key", "nobody's")
    (evil,) = desk.letters("--key", r"key-j\x1b[2J")
    shown = desk.does("show", f"{evil['partition']}:{evil['offset']}")
    assert r"header name: \x1b]0;evil\x07" in shown
    assert r"not \x07 JSON" in shown
    assert not {"\x1b", "\x07"} & set(shown)

    ends = desk.admin.end_offsets(desk.dlq)
    dry = desk.does("replay", "--error", "TroubleError", "--dry-run")
    assert "dry run, nothing was changed: would have replayed 5, skipped 0, failed 0" in dry
    assert desk.admin.end_offsets(desk.dlq) == ends
    assert "replayed 5, skipped 0, failed 0" in desk.does("replay", "--error", "TroubleError")
    assert "replayed 0, skipped 0, failed 0" in desk.does("replay", "--error", "TroubleError")
    desk.wait_handled()

    assert sorted(running.ledger.done()) == sorted(each.id for each in troubled)
    assert len(running.ledger.of("end")) == len(troubled)
    assert len(desk.letters()) == 2
    assert [" by " in each["resolved"] for each in desk.letters("--resolved")] == [True] * 5
    assert "dropped 2, skipped 0, failed 0" in desk.does("drop", "--all", "--purge")
    assert "no letters open" in desk.does("list")
    assert desk.admin.records(desk.dlq) == []


def test_a_replayed_message_keeps_its_bytes_and_goes_to_the_partition_it_came_from(desk: Desk) -> None:
    """Whoever produced it may choose partitions by other rules than our client: here, by none."""
    ours = [("dead-letter.topic", desk.topic.encode()), ("dead-letter.error", b"E"), ("dead-letter.offset", b"7")]
    rows: List[Row] = [
        (b"key", b"\xff\x00", [("theirs", b"\x80"), *ours, ("dead-letter.partition", b"%d" % n)]) for n in (0, 1, 0)
    ]
    desk.admin.produce(desk.dlq, rows)

    assert "replayed 3" in desk.does("replay", "--offset", "7")

    again = desk.admin.records(desk.topic)
    assert [each.partition for each in again] == [0, 0, 1]
    assert {(each.key, each.value) for each in again} == {(b"key", b"\xff\x00")}
    assert again[0].headers == [("theirs", b"\x80"), ("dead-letter.replays", b"1")]


def test_who_replays_while_another_does_is_told_who_it_is_and_no_message_is_replayed_twice(
    desk: Desk, service: Callable[..., Service]
) -> None:
    """On whatever hosts: it is said in the topic."""
    ours: Headers = [("dead-letter.topic", desk.topic.encode()), ("dead-letter.partition", b"0")]
    desk.admin.produce(desk.dlq, [(b"key", b"%d" % n, ours) for n in range(300)])
    command = service(desk.topic, desk.group).command
    with ThreadPoolExecutor() as both:
        answers = list(both.map(lambda _: command("dead-letters", "replay", "--all"), range(2)))
    assert len(desk.admin.records(desk.topic)) == 300, answers

    desk.admin.produce(desk.dlq, [(b"key", b"300", ours)])
    with Cluster(load([], os.environ, os.devnull).settings) as elsewhere:
        another = turn.Turn(elsewhere, desk.dlq, 0, "bob@elsewhere")
        assert another.begin() == ""
        refused = desk.does("drop", "--all", code=1)
        assert "by bob@elsewhere. (If that was killed, this can be done after 30 s)" in refused
        assert "dropped 0, skipped 0, failed 0" in refused
        kept = desk.admin.records(desk.dlq)
        assert "nothing was freed, because letters of it are being replayed" in desk.does("drop", "--purge", code=1)
        assert desk.admin.records(desk.dlq)[: len(kept)] == kept, "that bob is at work, too"
        another.end()
        assert "frees everything below offset" in desk.does("drop", "--purge")
        assert "replayed 1, skipped 0, failed 0" in desk.does("replay", "--all")

    desk.admin.produce(desk.dlq, [(b"key", b"301", ours)])
    word: List[Row] = [(b"", None, [("dead-letter.resolved", b"at work as %032x since 09:00 by the killed" % 7)])]
    desk.admin.produce(desk.dlq, word, timestamp=int(1000 * (time.time() - turn.SILENT_SECONDS - 5)))
    assert "replayed 1, skipped 0, failed 0" in desk.does("replay", "--all")
    assert [each.value for each in desk.admin.records(desk.topic)][-2:] == [b"300", b"301"]


def test_what_strangers_wrote_hides_no_letter_and_one_message_that_is_refused_stops_no_other(desk: Desk) -> None:
    of_our_own: Headers = [("dead-letter.topic", desk.topic.encode()), ("dead-letter.partition", b"0")]
    claims: Headers = [*of_our_own, ("dead-letter.topic", b"\x1b[2J"), ("dead-letter.replays", b"999")]
    large = b'"%s"' % (b"ab" * 500_000)
    desk.admin.configure(desk.topic, "max.message.bytes", "20000")
    desk.admin.produce(
        desk.dlq,
        [
            (b"k", b"1", [*of_our_own, ("dead-letter.replays", b"999")]),
            (b"k", large, of_our_own),
            (b"k", random.Random(1).randbytes(30_000), of_our_own),
            (b"k", b"4", of_our_own),
            (b"k", b"5", claims),
        ],
        {"compression.type": "zstd", "message.max.bytes": 2_000_000},
    )
    at = next(iter({each.partition for each in desk.admin.records(desk.dlq)}))
    for place in (f"{at}:{'9' * 5000}", f"{1 - at}:0", f"{at}:99", f"{at}:1\x1b"):
        said = f"{place} replayed at 2026-11-30T09:00:00Z by anna@host".encode()
        desk.admin.produce(desk.dlq, [(b"k", None, [("dead-letter.resolved", said)])])

    assert "0 (999 claimed)" in desk.does("list")
    assert r"\x1b[2J" in desk.does("drop", "--all", "--dry-run")
    done = desk.does("replay", "--all", code=1)

    assert "replayed 3, skipped 0, failed 2" in done
    assert "Message size too large" in done
    assert "\x1b" not in done
    assert [each.value for each in desk.admin.records(desk.topic)] == [b"1", b"4", large]
    assert len(desk.letters("--resolved")) == 3


def test_a_message_that_fails_again_and_again_is_not_replayed_in_a_circle(desk: Desk, engine: Callable[..., Engine]) -> None:
    desk.admin.produce(desk.topic, [message("stubborn", trouble="raise", times=4).row])
    running = engine(desk.topic, desk.group, max_attempts=1).start()

    for replays in range(3):
        desk.wait_handled()
        assert [letter["replays"] for letter in desk.letters()] == [replays]
        assert "replayed 1, skipped 0, failed 0" in desk.does("replay", "--all")
    desk.wait_handled()
    assert "replayed 0, skipped 1 (1 replayed 3 times already), failed 0" in desk.does("replay", "--all")

    assert "replayed 1" in desk.does("replay", "--all", "--again")
    desk.wait_handled()
    assert running.ledger.done() == ["stubborn"]
    assert desk.letters() == []
    assert len(desk.letters("--resolved")) == 4


def test_what_can_not_be_done_is_said_with_its_reason(
    desk: Desk, service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.admin.produce(desk.dlq, [(b"key", b"{}", [("dead-letter.topic", b"elsewhere")])])

    assert "as its topic, whose dead letters are not kept here" in desk.does("replay", "--all", code=1)
    assert "1:99: there is no such letter" in desk.does("show", "1:99", code=1)
    assert "or --all for every one" in desk.does("replay", code=78)
    assert "There is no such topic" in desk.does("list", "--topic", "nowhere")
    monkeypatch.delenv("KAFKA_TOPIC")
    monkeypatch.setenv("HANDLERS", f"^{desk.topic}=tests.support.handlers:work")
    assert f"{desk.dlq}: 1 letter open" in desk.does("list")
    real = service(desk.topic, desk.group).command("dead-letters", "list")
    assert (real.returncode, real.stdout.splitlines()[0]) == (0, f"{desk.dlq}: 1 letter open")


def test_without_a_broker_it_gives_up_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.ANSWER_SECONDS <= 10
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 2.0)
    (port,) = free_ports("127.0.0.1", 1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
    began = time.monotonic()

    said = desk.does("list", code=2)

    assert f"No broker answers at 127.0.0.1:{port}" in said
    assert "Connection refused" in said
    assert time.monotonic() - began < 4
