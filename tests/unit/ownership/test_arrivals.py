"""What becomes of partitions whose topic was made anew, and of those of which the broker has not told what was committed."""

from __future__ import annotations

import threading
from typing import Dict, List, Optional, Set, Tuple

import pytest
from confluent_kafka import OFFSET_END, OFFSET_INVALID

from kafka_worker.kafka.topic_ids import short
from kafka_worker.ownership import arrivals
from kafka_worker.ownership.arrivals import UNTOLD
from kafka_worker.partitions import commits
from kafka_worker.partitions.stored import Home
from kafka_worker.recovery.offset_map import decode, encode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from tests.unit.fakes import TOPIC, Ids, Message, ScriptedGroup, Step
from tests.unit.loops import OURS, Bench, assign, deliver, revoke, stop, until

BEFORE, AFTER = Home("c" * 16, "1" * 16), Home("c" * 16, "2" * 16)
Held = Dict[TopicPartition, Tuple[int, Optional[str]]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(arrivals, "LOOK_SECONDS", 0.01)
    return Bench(monkeypatch)


def broker_holds(monkeypatch: pytest.MonkeyPatch, *answers: Held) -> List[Held]:
    """One answer after the other, to the question what is committed; the last one is kept. Those that are still to come."""
    left = list(answers)
    monkeypatch.setattr(ScriptedGroup, "committed", lambda *_: left.pop(0) if len(left) > 1 else left[0])
    return left


def topic_is(home: Home) -> Step:
    def change(group: ScriptedGroup) -> List[Message]:
        group.ids.home = home
        return []

    return change


def rewound(bench: Bench) -> Step:
    return until(lambda: "rewind" in bench.group.deeds)


def test_a_topic_that_is_made_anew_under_the_service_begins_with_its_first_message(bench: Bench) -> None:
    """Its offsets are those of the one before, so nothing else tells. What runs of that one counts no more."""
    old = threading.Event()
    bench.call = lambda message, *_: old.wait(10) if message.offset() == 2 else None
    bench.play(
        topic_is(BEFORE),
        assign(),
        deliver(0, 1, 2),
        until(lambda: bench.calls == [0, 1, 2]),
        topic_is(AFTER),
        rewound(bench),
        lambda _: old.set() or [],  # type: ignore[func-returns-value]
        until(lambda: bench.done == {0, 1, 2}),
        deliver(0, 1),
        until(lambda: bench.calls == [0, 1, 2, 0, 1]),
        stop(),
    )

    assert bench.committed == 2


def test_of_what_topic_a_commit_is_the_client_tells_where_nobody_else_has_yet(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes: List[Home] = []
    usual = ScriptedGroup.commit

    def commit(group: ScriptedGroup, offsets: List[Tuple[str, int, int, str]]) -> bool:
        homes.extend(maps.home for *_, text in offsets for maps in [decode(text)] if maps is not None)
        return usual(group, offsets)

    monkeypatch.setattr(ScriptedGroup, "commit", commit)
    bench.play(
        assign(),
        lambda group: group.listener.on_topic(TOPIC, "its id") or [],  # type: ignore[func-returns-value]
        deliver(0),
        until(lambda: bench.done == {0}),
        stop(),
    )

    assert set(homes) == {Home("", short("its id"))}


def test_a_topic_that_the_client_says_is_made_anew_begins_with_its_first_message_once(bench: Bench) -> None:
    """Before anything of it has come, whether a look has found it before or finds it later, by a broker that is behind. Where
    the client can't read it, another takes its place."""
    looked: List[object] = []

    def client_says(group: ScriptedGroup) -> List[Message]:
        group.listener.on_made_anew(TOPIC, "its id")
        return []

    def client_takes_it_for_an_old_one(group: ScriptedGroup) -> List[Message]:
        group.deeds.append("said")
        group.listener.on_outlived(OURS)
        return []

    bench.play(
        topic_is(BEFORE),
        assign(),
        deliver(0, 1),
        until(lambda: bench.done == {0, 1} and (looked.append(0) or len(looked) > 10)),  # type: ignore[func-returns-value]
        client_says,
        until(lambda: looked.append(0) or len(looked) > 15),  # type: ignore[func-returns-value]
        topic_is(Home("c" * 16, short("its id"))),
        until(lambda: bench.loop._ownership.assignment.get(*OURS).stored.home.topic == short("its id")),  # type: ignore[union-attr]
        client_says,
        deliver(0, 1),
        until(lambda: bench.calls == [0, 1, 0, 1]),
        client_takes_it_for_an_old_one,  # it has told something of it
        until(lambda: looked.append(0) or len(looked) > 20),  # type: ignore[func-returns-value]
        lambda group: group.listener.on_made_anew(TOPIC, "another id") or [],  # type: ignore[func-returns-value]
        client_takes_it_for_an_old_one,
        until(lambda: "close" in bench.group.deeds),
        stop(),
    )

    assert bench.group.deeds[:5] == ["rewind", "said", "rewind", "said", "close"]


def test_a_client_that_reads_nothing_of_a_topic_made_anew_under_it_is_replaced_and_one_that_reads_it_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client keeps the epochs of the former topic's leaders, and would never read on."""
    monkeypatch.setattr(arrivals, "SILENT_SECONDS", 0.03)
    looked: List[object] = []
    bench.play(
        topic_is(BEFORE),
        assign(),
        deliver(0, 1),
        until(lambda: bench.done == {0, 1}),
        topic_is(AFTER),
        rewound(bench),
        deliver(0),
        until(lambda: bench.calls == [0, 1, 0] and (looked.append(0) or len(looked) > 20)),  # type: ignore[func-returns-value]
        lambda group: group.deeds.append("kept") or [],  # type: ignore[func-returns-value]
        topic_is(Home("c" * 16, "3" * 16)),
        until(lambda: "close" in bench.group.deeds),
        assign(),
        deliver(0),
        until(lambda: bench.calls == [0, 1, 0, 0] and (looked.append(0) or len(looked) > 40)),  # type: ignore[func-returns-value]
        stop(),
    )

    assert [deed for deed in bench.group.deeds if deed in ("kept", "close")] == ["kept", "close", "close"]


def test_a_topic_that_is_seen_to_begin_anew_is_not_begun_anew_once_more_for_an_answer_of_before(bench: Bench) -> None:
    """That would run again what was done since."""
    looked: List[object] = []

    def made_anew_while_a_question_is_on_its_way(group: ScriptedGroup) -> Optional[List[Message]]:
        if not group.ids.asked:
            return None
        group.ids.home = AFTER
        return [Message(0)]

    bench.play(
        topic_is(BEFORE),
        assign(),
        deliver(0, 1, 2),
        until(lambda: bench.calls == [0, 1, 2]),
        made_anew_while_a_question_is_on_its_way,
        until(lambda: bench.calls == [0, 1, 2, 0]),
        until(lambda: looked.append(0) or len(looked) > 20),  # type: ignore[func-returns-value]
        stop(),
    )

    assert "rewind" not in bench.group.deeds
    assert bench.calls == [0, 1, 2, 0]


def test_what_the_topics_are_is_asked_while_the_group_is_joined_so_that_an_assignment_need_not_wait_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: List[Set[str]] = []
    monkeypatch.setattr(Ids, "ask", lambda _, topics: asked.append(set(topics)))

    bench.play(until(lambda: bool(asked)), stop())

    assert asked[0] == {TOPIC}


def test_a_topic_that_is_missing_is_told_until_there_is_one_also_by_who_has_nothing_of_it(bench: Bench) -> None:
    def make_missing(*names: str) -> Step:
        def change(group: ScriptedGroup) -> List[Message]:
            group.ids.missing = set(names)
            return []

        return change

    def told(*names: str) -> Step:
        return until(lambda: list(bench.loop.report.missing_topics) == list(names))

    bench.play(
        assign(), make_missing(TOPIC), told(TOPIC), make_missing(), told(), revoke(), make_missing(TOPIC), told(TOPIC), stop()
    )

    assert list(bench.loop.report.missing_topics) == [TOPIC]


def test_an_id_that_is_not_told_any_more_changes_nothing(bench: Bench) -> None:
    looked: List[object] = []
    unknown = Home("", "")
    bench.play(
        topic_is(BEFORE),
        assign(),
        deliver(0),
        until(lambda: bench.done == {0}),
        topic_is(unknown),
        until(lambda: looked.append(0) or len(looked) > 20),  # type: ignore[func-returns-value]
        topic_is(BEFORE),
        until(lambda: looked.append(0) or len(looked) > 40),  # type: ignore[func-returns-value]
        stop(),
    )

    assert "rewind" not in bench.group.deeds
    assert bench.calls == [0]


def test_a_commit_that_is_left_of_a_topic_made_anew_is_no_place_to_go_on_from(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker_holds(monkeypatch, {OURS: (20, encode("abcdefgh", BEFORE, 20, [(21, 25)]))})
    bench.play(topic_is(AFTER), assign(), rewound(bench), deliver(*range(25)), until(lambda: len(bench.done) == 25), stop())

    assert sorted(bench.calls) == list(range(25))
    assert bench.committed == 25


def test_nor_is_one_of_which_only_a_client_has_told_the_topic_and_ours_tells_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody need wait for those who may never answer."""
    former = Home("", short("its former id"))
    broker_holds(monkeypatch, {OURS: (20, encode("abcdefgh", former, 20, [(21, 25)]))})
    patience: List[float] = []
    monkeypatch.setattr(Ids, "answer", lambda _ids, seconds=0.0: patience.append(seconds))

    bench.play(
        assign(),
        lambda group: group.listener.on_topic(TOPIC, "its id") or [],  # type: ignore[func-returns-value]
        rewound(bench),
        deliver(*range(25)),
        until(lambda: len(bench.done) == 25),
        stop(),
    )

    assert sorted(bench.calls) == list(range(25))
    assert bench.committed == 25
    assert max(patience) == 0.0


def test_nothing_of_a_partition_is_fetched_started_or_committed_before_the_broker_has_told_what_was_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is done would run again, and the next commit would wipe that it is. And the client would have to ask itself,
    which it does once: refused then, as by a broker that is the coordinator no more, it would fetch nothing for ever."""
    monkeypatch.setattr(commits, "SOON", 0.01)
    asked: List[Held] = []
    held: Held = {}
    seen: List[str] = []

    def committed(*_: object) -> Held:
        asked.append(held.copy())
        return asked[-1]

    def before_it_tells(_group: ScriptedGroup) -> List[Message]:
        seen.extend(p.held for p in bench.loop.report.partitions)
        assert bench.calls == []
        assert bench.group.commits == []
        assert (set(bench.group.paused), bench.group.rewound) == ({OURS}, [])
        held[OURS] = (5, encode("abcdefgh", BEFORE, 5, [(6, 8)]))
        return []

    monkeypatch.setattr(ScriptedGroup, "committed", committed)
    bench.play(
        assign(), until(lambda: bench.loop.report.partitions and len(asked) > 2), before_it_tells, rewound(bench),
        deliver(5, 6, 7, 8), until(lambda: bench.done == {5, 8}), stop(),
    )  # fmt: skip

    assert seen == [UNTOLD]
    assert bench.group.rewound == [5]
    assert bench.committed == 9


def test_a_partition_that_goes_away_before_the_broker_has_told_is_not_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker_holds(monkeypatch, {})
    bench.play(assign(), deliver(5, 6, 7), revoke(), stop())

    assert bench.calls == []
    assert bench.group.commits == []
    assert bench.loop.report.dropped == 3


def test_a_stop_before_the_broker_has_told_owes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broker_holds(monkeypatch, {})
    code = bench.play(assign(), deliver(5, 6, 7), stop())

    assert code == 0
    assert bench.group.commits == []


@pytest.mark.parametrize("begins", [OFFSET_END, OFFSET_INVALID])
def test_where_it_is_told_late_that_nothing_is_committed_the_client_is_told_where_that_has_it_begin(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, begins: int
) -> None:
    """It was not asked to find out, and stands at the first message. (Where reading must not begin by itself it says so.)"""
    broker_holds(monkeypatch, {}, {}, {OURS: (-1001, None)})

    def reset(group: ScriptedGroup) -> List[Message]:
        group.begins_at = lambda _name, committed: {-1001: begins}[committed]
        return []

    bench.play(reset, assign(), rewound(bench), deliver(7), until(lambda: bench.done == {7}), stop())

    assert bench.group.rewound == [begins]
