"""What markers say of letters, and what is said in vain."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.ops.dead_letters.letter import (
    DeadLetterRecord,
    Letter,
    Replay,
    Resolution,
    history,
    is_marker,
    resolution_of,
)
from kafka_worker.ops.dead_letters.plan import Action, first_open, reason_to_skip
from kafka_worker.ops.dead_letters.text import as_object, listed, shown
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest
from tests.unit.ops.dead_letters.letters import DLQ, marked, record


def test_a_marker_resolves_its_letter_and_is_none_itself() -> None:
    records = [record(17), record(18), marked((1, 17), at=19), marked((1, 17), Action.DROPPED, at=20)]

    found = history(records)

    assert [is_marker(each) for each in records] == [False, False, True, True]
    assert found.resolutions == {(1, 17): Resolution((1, 17), "dropped", "2026-11-30T09:00:00Z", "anna@host")}


@given(st.binary(max_size=60))
def test_a_marker_that_can_not_be_read_resolves_nothing(junk: bytes) -> None:
    odd = DeadLetterRecord(DLQ, 0, 5, 0, None, None, [("dead-letter.resolved", junk + b"!")])

    assert is_marker(odd)
    assert history([odd]).resolutions == {}


SAID = b"0:4 replayed at 2026-11-30T09:00:00Z by anna@host"


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (SAID, True),
        (SAID.replace(b"0:4", b"0:5"), False),  # itself
        (SAID.replace(b"0:4", b"0:6"), False),  # not written yet
        (SAID.replace(b"0:4", b"1:4"), False),  # another partition
        (SAID.replace(b"0:4", b"0:" + b"4" * 5000), False),  # more digits than Python turns into a number
        (SAID.replace(b"0:4", "0:\u0664".encode()), False),
        (SAID.replace(b"replayed", b"forgotten"), False),
        (SAID + b"x" * 1000, False),
        (SAID + b"\x1b[2J", True),  # escaped where it is shown
    ],
)
def test_a_marker_counts_for_a_letter_before_it_in_its_own_partition_and_in_our_words_only(said: bytes, counts: bool) -> None:
    found = resolution_of(DeadLetterRecord(DLQ, 0, 5, 0, None, None, [("dead-letter.resolved", said)]))

    assert (found is not None and found.place == (0, 4)) is counts


def test_a_record_with_a_value_is_a_letter_whatever_its_headers_say() -> None:
    odd = DeadLetterRecord(DLQ, 0, 5, 0, None, b"{}", [("dead-letter.resolved", SAID)])

    assert not is_marker(odd)
    assert history([odd]).resolutions == {}


@given(st.integers(0, 1 << 31), st.integers(0, 1 << 60), st.sampled_from(Action), st.text(min_size=1, max_size=20))
def test_what_a_marker_says_is_read_again(partition: int, offset: int, action: Action, by: str) -> None:
    replay = Replay((partition, offset), 7) if action is Action.REPLAYED else None
    headers = Resolution((partition, offset), action.value, "2026-11-30T09:00:00Z", by, replay).headers()

    found = resolution_of(DeadLetterRecord(DLQ, partition, offset + 1, 0, None, None, headers))

    assert found is not None
    assert (found.place, found.action, found.replay) == ((partition, offset), action.value, replay)


NUMBERS = st.integers(0, 10**30)
RESOLVED = st.builds(
    "{}{}:{} {} at {} by {}".format,
    st.sampled_from(["", "0", "x"]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["replayed", "dropped"]),
    st.text(min_size=1, max_size=5),
    st.text(max_size=10),
)
REPLAYS = st.builds("{}:{}, the {}. time{}".format, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["", "x"]))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["dead-letter.resolved", "dead-letter.replayed-to", "dead-letter.replays", "x"]),
            st.one_of(
                st.none(),
                st.binary(max_size=30),
                RESOLVED.map(str.encode),
                REPLAYS.map(str.encode),
            ),
        ),
        max_size=4,
    ),
    st.one_of(st.none(), st.binary(max_size=3)),
)
def test_whatever_stands_in_a_dead_letter_topic_hides_nothing_but_what_came_before_it_there(
    headers: List[Tuple[str, Any]], value: Optional[bytes]
) -> None:
    found = history([DeadLetterRecord(DLQ, 0, 5, 0, None, value, headers)])

    assert all(partition == 0 and offset < 5 for partition, offset in found.resolutions)
    assert not value or not found.resolutions
    assert len(found.replays) <= len(found.resolutions)


def test_how_often_a_message_was_replayed_is_what_markers_say_and_its_own_word_is_shown_as_a_claim() -> None:
    """A producer that writes `dead-letter.replays: 999` hides nothing from a replay."""
    claims = record(18, replays="999")
    markers = [marked((1, 17), at=18, to=(3, 1234), times=1), marked((1, 5), at=19, to=(3, 1235), times=7)]
    forged = Letter.of(claims, "orders")
    proven = Letter.of(claims, "orders", history(markers).replays)

    assert (forged.replays, proven.replays) == (0, 2)
    assert reason_to_skip(forged, None, DeadLetterRequest("replay")) == ""
    assert "0 (999 claimed)" in listed([(forged, None)])[1]
    assert "  replays: 2 (999 claimed)" in shown(proven, None, full=False)
    told = as_object(proven, None, whole=False)
    assert (told["replays"], told["claimed_replays"]) == (2, 999)


def test_a_marker_that_says_how_often_the_message_of_an_open_letter_was_replayed_is_kept() -> None:
    records = [record(10), marked((1, 10), at=11, to=(3, 1234)), marked((1, 10), at=12), record(13)]

    assert first_open(records, {(1, 10)}, {1: (10, 14)}) == {1: 11}
    assert first_open(records, {(1, 10), (1, 13)}, {1: (10, 14)}) == {1: 14}
