"""What is done beyond the committed offset, as text for the commit's metadata. Pure.

So the knowledge travels with the offset: whoever gets the partition next, on whatever host, runs again only what was not done.
A wrong map is a silent loss, so a reader takes it only when everything about it is right, and nothing at all otherwise.

    k2:<writer>:<cluster>:<topic>:<base>:<form>:<bytes>:<check>:<payload>

`writer` names the assignment that committed (see `journal`), `cluster` and `topic` say where (see `topic_ids`; empty: not
known), `base` is the committed offset itself, `form` says what the payload is: `r`, run lengths (open, done, open, done, …
from the base on, as LEB128 numbers), or `b`, a bitmap (least bit first); whichever is shorter. `check` is a CRC-32 over all
of it. Its bytes are packed 15 bits to a character, U+0800 to U+87FF, because the broker counts UTF-16 units, not bytes:
4,095 of them from a client of librdkafka (measured on Kafka 3.9 and 4.2), which makes 7.6 KB for each partition."""

from __future__ import annotations

import re
import zlib
from typing import Iterable, List, NamedTuple, Optional, Tuple

from kafka_worker.partitions.stored import Home
from kafka_worker.partitions.tracker import Range

MOST_CHARACTERS = 4000  # of 4,095: what a broker is configured to take may be a little less
_FIRST = 0x0800  # of 2**15 characters without a NUL or a surrogate among them
_BITS = 15
_SHIFTS = range(0, 8 * _BITS, _BITS)  # of eight characters
_SHORT = [bytes([value]) for value in range(0x80)]  # numbers of one byte, as most are
_LONGEST_RUN = 1 << 40  # offsets; a longer one is not of our making
_FORM = re.compile(
    r"k2:([\w-]{8}):((?:[0-9a-f]{16})?):((?:[0-9a-f]{16})?):(\d{1,19}):([rb]):(\d{1,5}):([0-9a-f]{8}):([\u0800-\u87ff]*)",
    re.DOTALL,
)


class OffsetMap(NamedTuple):
    """What a commit's metadata says."""

    writer: str
    home: Home
    base: int
    done: List[Range]  # ascending, apart from each other, none below the base


def encode(writer: str, home: Home, base: int, done: Iterable[Range]) -> str:
    """The metadata for a commit of `base`. Too much of it: the far end is left out, so that progress never stops."""
    ranges = list(done)
    room = (MOST_CHARACTERS - len(_head(writer, home, base, "r", bytes(10000)))) * _BITS // 8
    forms = {"r": _runs(base, ranges, room), "b": _bitmap(base, ranges, room)}
    # The one that says more; of two that say the same, the shorter.
    form = max(forms, key=lambda name: (forms[name][1], -len(forms[name][0])))
    payload = forms[form][0]
    return _head(writer, home, base, form, payload) + _packed(payload)


def decode(text: Optional[str]) -> Optional[OffsetMap]:
    """What `encode` wrote; None for anything else, however close."""
    found = _FORM.fullmatch(text or "")
    if found is None:
        return None
    writer, home, base, form, packed = found[1], Home(found[2], found[3]), int(found[4]), found[5], found[8]
    payload = _unpacked(packed, int(found[6]))
    if payload is None or text != _head(writer, home, base, form, payload) + packed:
        return None
    done = _of_runs(base, payload) if form == "r" else _of_bitmap(base, payload)
    return None if done is None else OffsetMap(writer, home, base, done)


def _head(writer: str, home: Home, base: int, form: str, payload: bytes) -> str:
    head = "k2:{}:{}:{}:{}:{}:{}:".format(writer, *home, base, form, len(payload))
    return f"{head}{zlib.crc32(head.encode() + payload):08x}:"


def _runs(base: int, ranges: List[Range], room: int) -> Tuple[bytes, int]:
    """(payload, behind the last offset that it covers)."""
    payload, at = bytearray(), base
    for first, behind in ranges:
        pair = _number(first - at) + _number(behind - first)
        if len(payload) + len(pair) > room:
            break
        payload += pair
        at = behind
    return bytes(payload), at


def _bitmap(base: int, ranges: List[Range], room: int) -> Tuple[bytes, int]:
    """(payload, behind the last offset that it covers)."""
    limit = base + 8 * room
    covered = [(first, min(behind, limit)) for first, behind in ranges if first < limit]
    if not covered:
        return b"", base
    gaps = [first - at for at, (first, _) in zip([base, *(behind for _, behind in covered)], covered)]
    # As text and all at once: thousands of shifts of a number of 7 KB would take as many times as long.
    text = "".join(["0" * gap + "1" * (behind - first) for gap, (first, behind) in zip(gaps, covered)])
    return int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little"), covered[-1][1]


def _of_runs(base: int, payload: bytes) -> Optional[List[Range]]:
    numbers = _numbers(payload)
    if numbers is None or len(numbers) % 2 or 0 in numbers[1:]:
        return None  # only the first run may be empty: the base itself is done, and was not delivered yet
    done, at = [], base
    for opened, finished in zip(numbers[::2], numbers[1::2]):
        done.append((at + opened, at + opened + finished))
        at = done[-1][1]
    return done


def _of_bitmap(base: int, payload: bytes) -> Optional[List[Range]]:
    if payload and not payload[-1]:
        return None
    bits = format(int.from_bytes(payload, "little"), "b")[::-1] if payload else ""
    return [(base + run.start(), base + run.end()) for run in re.finditer("1+", bits)]


def _number(value: int) -> bytes:
    """The number in LEB128."""
    if value < len(_SHORT):
        return _SHORT[value]
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 (seven bits a byte)
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _numbers(payload: bytes) -> Optional[List[int]]:
    numbers, value, shift = [], 0, 0
    for byte in payload:
        value |= (byte & 0x7F) << shift
        shift += 7
        if value > _LONGEST_RUN:
            return None
        if not byte & 0x80:
            numbers.append(value)
            value = shift = 0
    return None if shift else numbers


def _packed(payload: bytes) -> str:
    """Eight characters hold fifteen bytes."""
    out: List[str] = []
    for start in range(0, len(payload), _BITS):
        bits = int.from_bytes(payload[start : start + _BITS], "little")
        out += [chr(_FIRST + (bits >> shift & 0x7FFF)) for shift in _SHIFTS]
    return "".join(out)[: -(-8 * len(payload) // _BITS)]


def _unpacked(packed: str, size: int) -> Optional[bytes]:
    """The payload of `size` bytes; None when the text does not hold exactly that."""
    if len(packed) != -(-8 * size // _BITS):
        return None
    out = bytearray()
    for start in range(0, len(packed), 8):
        bits = sum([(ord(char) - _FIRST) << shift for char, shift in zip(packed[start : start + 8], _SHIFTS)])
        out += bits.to_bytes(_BITS, "little")
    return bytes(out[:size]) if not any(out[size:]) else None
