"""A process that ends while it gives partitions up leaves word that its member has to join again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, cast

import pytest

from kafka_worker.kafka.groups import former
from kafka_worker.kafka.properties import may_owe_a_rejoin
from kafka_worker.recovery.follow_up import FollowUp
from tests.unit.fakes import TOPIC, ScriptedGroup, Step
from tests.unit.loops import OURS, Bench, assign, revoke, stop


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    made = Bench(monkeypatch)
    made.follow_up = FollowUp(str(tmp_path / "slot-0.rejoin"))
    return made


STATIC = {"group.instance.id": "here-0", "partition.assignment.strategy": "cooperative-sticky"}
PROPERTIES: List[Tuple[Dict[str, Any], bool]] = [
    (STATIC, True),
    ({**STATIC, "group.instance.id": None}, False),
    ({**STATIC, "partition.assignment.strategy": "range"}, True),
    ({**STATIC, "group.protocol": "consumer"}, False),
]


@pytest.mark.parametrize(("properties", "owes"), PROPERTIES)
def test_only_a_static_member_by_the_classic_protocol_owes(properties: Dict[str, Any], *, owes: bool) -> None:
    assert may_owe_a_rejoin({name: value for name, value in properties.items() if value}) is owes


def test_it_is_owed_from_the_revocation_to_the_next_word_of_the_group(bench: Bench) -> None:
    owed: List[bool] = []

    def look(_group: ScriptedGroup) -> List[Any]:
        owed.append(bench.follow_up.owed)
        return []

    bench.play(look, assign(), look, revoke(), look, assign(), look, stop())

    assert owed == [False, False, True, False]


@pytest.mark.parametrize(("steps", "deeds"), [([revoke()], ["leave", "close"]), ([], ["close"])])
def test_who_ends_before_that_gives_the_seat_up_and_who_owes_nothing_keeps_it(
    bench: Bench, steps: List[Step], deeds: List[str]
) -> None:
    bench.play(assign(), *steps, stop())

    assert [deed for deed in bench.group.deeds if deed != "pause"] == deeds


@pytest.mark.parametrize("leaves", [True, False])
def test_who_has_left_in_order_owes_nothing_any_more(bench: Bench, leaves: bool) -> None:
    """What the next one in the slot would do for it would be in vain; where the word was not heard, it is not."""

    def unheard(group: ScriptedGroup) -> List[Any]:
        group.leaves = leaves
        return []

    bench.play(assign(), revoke(), unheard, stop())

    assert bench.follow_up.owed is not leaves


def test_what_a_closing_client_gives_up_is_not_noted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedGroup, "close", lambda group: group.listener.on_revoked([OURS]))
    bench.play(assign(), stop())

    assert not bench.follow_up.owed


def test_who_comes_next_leaves_in_the_place_of_the_one_before_and_joins_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.follow_up.owe()
    left: List[Tuple[List[str], bool]] = []
    heard = [False, True]

    def leave(_group: object, _properties: object, topics: List[str], *_: object) -> bool:
        left.append((topics, bench.follow_up.owed))
        return heard.pop(0)

    monkeypatch.setattr("kafka_worker.loop.leave_for", leave)

    bench.play(assign(), stop())

    assert [owed for _, owed in left] == [True, True], "again, until the group has heard of it"
    assert not bench.follow_up.owed


class Group(ScriptedGroup):
    """Which keeps what its listener wants to have paused."""

    def __call__(self, *arguments: Any) -> Any:
        super().__call__(*arguments)
        self.joined = False
        return self

    def pause_from_the_start(self, names: List[Tuple[str, int]]) -> None:
        self.joined = True
        self.paused += names


@pytest.mark.parametrize("heard", [True, False])
def test_in_the_place_of_another_nothing_is_fetched_and_the_group_is_waited_for(*, heard: bool) -> None:
    group = Group(lambda _group: [], assign())
    group.leaves = heard

    has_left = former.leave_for(cast("Any", group), {}, [], lambda _group: True, float)

    assert (group.paused, group.deeds, has_left) == ([OURS], ["leave", "close"], heard)


def test_the_group_is_not_waited_for_by_who_shall_stop() -> None:
    group = Group()

    former.leave_for(cast("Any", group), {}, [], lambda _group: False, float)

    assert group.deeds == ["leave", "close"]


@pytest.mark.parametrize(("before", "owed"), [(None, False), (["b", "a"], False), (["a"], True), (["a", "b", "c"], True)])
def test_the_seat_of_who_was_subscribed_to_other_topics_has_to_be_left_first(
    tmp_path: Path, before: Optional[List[str]], *, owed: bool
) -> None:
    """The group would go on by those: what is new would be nobody's, and what is not ours any more would be held."""
    path = str(tmp_path / "slot-0.rejoin")
    if before:
        FollowUp(path).sit_down(before)

    ours = FollowUp(path)
    ours.sit_down(["a", "b"])
    FollowUp(path).sit_down(["a", "b"])

    assert ours.owed is owed, "until it is done, whoever comes next"
    ours.left()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("steps", "noted"), [([], ["slot-0.rejoin.topics"]), ([revoke()], [])])
def test_to_what_a_process_is_subscribed_is_noted_until_it_gives_its_seat_up(
    bench: Bench, tmp_path: Path, steps: List[Step], noted: List[str]
) -> None:
    bench.play(assign(), *steps, stop())

    assert [each.name for each in tmp_path.iterdir()] == noted


def test_who_is_given_what_others_were_subscribed_to_takes_none_of_it_and_joins_anew(bench: Bench) -> None:
    """Where nobody has noted to what."""

    def assign_both(group: ScriptedGroup) -> List[Any]:
        group.listener.on_assigned([OURS, ("of-before", 0)])
        return []

    bench.play(assign_both, assign(), stop())

    assert [partition.topic for partition in bench.loop.report.partitions] == [TOPIC]
    assert bench.group.deeds[:2] == ["leave", "close"]


def test_what_can_not_be_noted_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FollowUp(str(tmp_path / "gone" / "slot-0.rejoin")).owe()

    assert "may stay with nobody" in caplog.text


def test_without_a_file_nothing_is_ever_owed() -> None:
    nothing = FollowUp("")
    nothing.sit_down([TOPIC])
    nothing.owe()
    nothing.paid()
    nothing.left()

    assert not nothing.owed
