from __future__ import annotations

from random import Random
from typing import List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.partitions.tracker import Range
from kafka_worker.recovery.offset_map import MOST_CHARACTERS, OffsetMap, decode, encode

WRITER = "0123abcd"
HOME = Home("0123456789abcdef", "fedcba9876543210")


def ranges(base: int, steps: List[int]) -> List[Range]:
    """Runs open, done, open, done, … from the base on."""
    done, at = [], base
    for opened, finished in zip(steps[::2], steps[1::2]):
        done.append((at + opened, at + opened + finished))
        at += opened + finished
    return done


runs = st.lists(st.integers(1, 5000), max_size=200)
dense = st.lists(st.integers(1, 3), max_size=400)
bases = st.integers(0, 1 << 60)


@given(bases, st.one_of(runs, dense))
def test_what_is_written_is_read_again(base: int, steps: List[int]) -> None:
    done = ranges(base, steps)

    assert decode(encode(WRITER, HOME, base, done)) == OffsetMap(WRITER, HOME, base, done)


@settings(max_examples=20)
@given(bases, st.integers(), st.integers(1, 400), st.integers(6000, 9000))
def test_too_much_loses_its_far_end_only(base: int, seed: int, longest: int, count: int) -> None:
    random = Random(seed)
    done = ranges(base, random.choices(range(1, longest + 1), k=count))

    text = encode(WRITER, HOME, base, done)
    read = decode(text)

    assert len(text) <= MOST_CHARACTERS
    assert read is not None
    assert read.done[:-1] == done[: len(read.done) - 1]
    assert read.done[-1][0] == done[len(read.done) - 1][0]
    assert read.done[-1][1] <= done[len(read.done) - 1][1]


def test_the_base_itself_may_be_done() -> None:
    assert decode(encode(WRITER, HOME, 7, [(7, 9), (12, 13)])) == OffsetMap(WRITER, HOME, 7, [(7, 9), (12, 13)])
    assert decode(encode(WRITER, HOME, 7, [(7, 9000)])) == OffsetMap(WRITER, HOME, 7, [(7, 9000)])


def test_nothing_done_beyond_the_base_is_a_short_text() -> None:
    assert decode(encode(WRITER, HOME, 7, [])) == OffsetMap(WRITER, HOME, 7, [])
    assert len(encode(WRITER, UNKNOWN, 7, [])) < 30


def test_a_thousand_alternating_offsets_take_a_bitmap_and_few_characters() -> None:
    text = encode(WRITER, HOME, 0, [(offset, offset + 1) for offset in range(1, 1000, 2)])

    assert ":b:" in text
    assert len(text) < 140


def test_a_long_run_takes_run_lengths() -> None:
    assert ":r:" in encode(WRITER, HOME, 0, [(1, 100_000)])


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "checkpoint of some other tool",
        encode(WRITER, HOME, 7, [(9, 12)])[:-1],
        encode(WRITER, HOME, 7, [(9, 12)]) + "\u0801",
        encode(WRITER, HOME, 7, [(9, 12)]) + "\n",
        encode(WRITER, HOME, 7, [(9, 12)]).upper(),
        encode(WRITER, HOME, 7, [(9, 12)]).replace("k2:", "k1:"),
        encode(WRITER, HOME, 7, [(9, 12)]).replace(":7:", ":8:"),
    ],
)
def test_anything_else_is_no_map(text: Optional[str]) -> None:
    assert decode(text) is None


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert decode(text) is None
    assert decode(f"k2:0123abcd:::5:r:{len(text)}:00000000:{text}") is None


@given(bases, dense, st.data())
def test_a_damaged_map_is_no_map(base: int, steps: List[int], data: st.DataObject) -> None:
    text = encode(WRITER, HOME, base, ranges(base, steps))
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=0x8800).filter(lambda each: each != text[place]))

    assert decode(text[:place] + other + text[place + 1 :]) is None
