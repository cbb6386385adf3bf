from __future__ import annotations

import os
import socket
from typing import Iterator, List, Tuple

import pytest

from kafka_worker.shared.ipc import channel
from kafka_worker.shared.ipc.channel import Channel, Message

Pair = Tuple[Channel, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A channel, and the plain socket of the other side."""
    ours, theirs = socket.socketpair()
    with theirs:
        mine = Channel(ours)
        yield mine, theirs
        mine.close()


def fill(mine: Channel) -> int:
    """Send until something waits; how many messages that took."""
    count = 0
    while not mine.pending:
        mine.send({"filler": "x" * 50_000})
        count += 1
    return count


def read_all(mine: Channel, theirs: socket.socket) -> List[Message]:
    """What the other side gets, while ours flushes."""
    other = Channel(theirs)  # the fixture closes its socket
    messages: List[Message] = []
    while mine.pending:
        mine.flush()
        messages += other.receive()
    return messages + other.receive()


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    mine, theirs = pair
    theirs.sendall(b'{"a":1}\n{"b":"\xc3\xa4"}\n')

    assert mine.receive() == [{"a": 1}, {"b": "ä"}]
    assert mine.readable


def test_who_takes_the_first_message_leaves_those_behind_it(pair: Pair) -> None:
    mine, theirs = pair
    theirs.sendall(b'{"a":1}\n{"b":2}\n{"c')

    assert (mine.receive(1), mine.receive()) == ([{"a": 1}], [{"b": 2}])


def test_a_partial_line_waits_for_its_rest(pair: Pair) -> None:
    mine, theirs = pair
    received = []
    for piece in (b'{"a', b'":1', b'}\n{"b":2', b"}\n"):
        theirs.sendall(piece)
        received.append(mine.receive())

    assert received == [[], [], [{"a": 1}], [{"b": 2}]]


def test_last_words_are_received_before_the_channel_is_closed_by_the_others_end(pair: Pair) -> None:
    mine, theirs = pair
    theirs.sendall(b'{"a":1}\n{"cut')
    theirs.close()

    assert mine.receive() == [{"a": 1}]
    assert not mine.readable


@pytest.mark.parametrize("line", [b"no json", b"[1]", b"7", b"null", b"\xff", b"", b"[" * 100_000])
def test_a_line_that_is_no_json_object_ends_both_directions(pair: Pair, line: bytes) -> None:
    mine, theirs = pair
    theirs.sendall(line + b"\n")

    assert mine.receive() == []
    assert not mine.readable
    assert not mine.writable


def test_a_line_that_is_too_long_ends_both_directions(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LONGEST_LINE", 1000)
    mine, theirs = pair
    theirs.sendall(b"x" * 2000)

    mine.receive()

    assert not mine.readable
    assert not mine.writable


def test_send_never_blocks_and_loses_nothing(pair: Pair) -> None:
    mine, theirs = pair
    sent = fill(mine)

    assert len(read_all(mine, theirs)) == sent


def test_an_offer_is_dropped_while_something_waits_and_taken_when_nothing_does(pair: Pair) -> None:
    mine, theirs = pair
    sent = fill(mine)
    refused = mine.offer({"newest": 1})
    received = len(read_all(mine, theirs))

    taken = mine.offer({"newest": 2})

    assert (refused, received, taken) == (False, sent, True)
    assert read_all(mine, theirs) == [{"newest": 2}]


def test_sending_to_a_peer_that_is_gone_is_no_error_and_is_not_tried_again(pair: Pair) -> None:
    mine, theirs = pair
    theirs.close()

    mine.send({"a": 1})

    assert not mine.writable
    assert not mine.offer({"a": 2})


def test_what_the_other_side_said_before_it_went_is_received_although_sending_has_failed_since(pair: Pair) -> None:
    mine, theirs = pair
    theirs.sendall(b'{"last":"words"}\n')
    theirs.close()
    mine.send({"a": 1})

    assert mine.readable
    assert mine.receive() == [{"last": "words"}]
    assert not mine.readable


def test_a_side_that_says_no_more_can_still_be_answered(pair: Pair) -> None:
    mine, theirs = pair
    theirs.sendall(b'{"question":1}\n')
    theirs.shutdown(socket.SHUT_WR)
    heard = mine.receive()

    mine.send({"answer": 1})

    assert (heard, mine.readable, mine.writable) == ([{"question": 1}], False, True)
    assert theirs.recv(100) == b'{"answer":1}\n'


def test_nothing_comes_out_of_a_channel_that_we_closed(pair: Pair) -> None:
    mine, _ = pair
    mine.close()

    assert mine.receive() == []
    assert not mine.readable
    assert not mine.writable


def test_a_channel_is_not_inherited_by_programs_we_start(pair: Pair) -> None:
    mine, _ = pair

    assert not os.get_inheritable(mine.fileno())
