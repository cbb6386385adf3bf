"""Dead letters as an operator reads them, in lines and in JSON. Pure. Nothing that a stranger wrote reaches the terminal as it
is (see worker/shared/foreign/texts.py)."""

from __future__ import annotations

import base64
import json
from operator import itemgetter
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from kafka_worker.ops.dead_letters.letter import UNKNOWN, Letter, Listed, Resolution, iso
from kafka_worker.ops.tables import Columns, key_of, table
from kafka_worker.shared.foreign.texts import escaped, readable

ERROR_WIDTH, KEY_WIDTH = 70, 40  # characters, in a list
SHOWN_VALUE, SHOWN_TEXT = 4000, 4000  # characters without --full, of a value and of a header
_HEADS = ("letter", "from", "failed at", "attempts", "replays", "key", "error")
COLUMNS: Columns = tuple((heading, itemgetter(place)) for place, heading in enumerate(_HEADS))
_MULTILINE = ("traceback", "stack")


def listed(letters: Iterable[Listed]) -> List[str]:
    """One line a letter under a line of headings."""
    return table(COLUMNS, (_row(letter, resolution) for letter, resolution in letters))


def _row(letter: Letter, resolution: Optional[Resolution]) -> Tuple[str, ...]:
    error = letter.error if resolution is None else f"({resolution}) {letter.error}"
    return (
        "{}:{}".format(*letter.place),
        escaped(source(letter)),
        iso(letter.failed_at),
        escaped(letter.ours.get("attempts", "?"))[:10],
        _replays(letter),
        _cut(key_of(readable(letter.record.key, KEY_WIDTH + 1)), KEY_WIDTH),
        _cut(escaped(error[: ERROR_WIDTH + 1]), ERROR_WIDTH) or "?",
    )


def _replays(letter: Letter) -> str:
    claimed = letter.claimed_replays
    return f"{letter.replays}" + (f" ({claimed} claimed)" if claimed not in (0, letter.replays) else "")


def source(letter: Letter) -> str:
    """Where the message came from, as in the log: `orders[3]@1234`."""
    known = letter.partition >= 0 and letter.offset >= 0
    return letter.origin + (f"[{letter.partition}]@{letter.offset}" if known else "")


def shown(letter: Letter, resolution: Optional[Resolution], *, full: bool) -> List[str]:
    """Everything about one letter."""
    record = letter.record
    single = {name: text for name, text in letter.ours.items() if name not in (*_MULTILINE, "timestamp", "replays")}
    lines = ["{} {}:{}, {}".format(escaped(record.topic), *letter.place, escaped(str(resolution or "open")))]
    lines += [f"  from: {escaped(source(letter))}", f"  timestamp: {_time(letter.timestamp)}"]
    lines += [f"  replays: {_replays(letter)}"] if letter.replays or letter.claimed_replays else []
    lines.append("  key: " + ("none" if record.key is None else key_of(readable(record.key, len(record.key)))))
    lines += [f"  {escaped(name)}: {_limited(text, SHOWN_TEXT, full)}" for name, text in sorted(single.items())]
    lines += [f"  header {escaped(name)}: {_header(value, full)}" for name, value in letter.theirs]
    for name in _MULTILINE:
        if name in letter.ours:
            lines += [f"  {name}:", *_block(letter.ours[name].splitlines(), full)]
    return lines + _value(record.value, full)


def _time(timestamp: int) -> str:
    shown_time = iso(timestamp / 1000)
    return f"{timestamp} ms since 1970" if shown_time == UNKNOWN else shown_time


def _header(value: Any, full: bool) -> str:
    return "none" if value is None else _limited(value.decode("utf-8", errors="backslashreplace"), SHOWN_TEXT, full)


def _value(value: Optional[bytes], full: bool) -> List[str]:
    if value is None:
        return ["  value: none"]
    try:
        pretty = json.dumps(json.loads(value.decode("utf-8")), indent=2, ensure_ascii=False).split("\n")
    except (ValueError, RecursionError):
        text = _limited(value.decode("utf-8", errors="backslashreplace"), SHOWN_VALUE, full)
        return [f"  value, {len(value)} bytes, not JSON:", "    " + text]
    return [f"  value, {len(value)} bytes of JSON:", *_block(pretty, full)]


def _block(lines: Sequence[str], full: bool) -> List[str]:
    """Indented and escaped line by line, up to a number of characters in all."""
    shown_lines: List[str] = []
    left = SHOWN_VALUE
    for number, line in enumerate(lines):
        if len(line) > left and not full:
            shown_lines.append("    " + escaped(line[:left]))
            shown_lines.append(f"    … cut here, in line {number + 1} of {len(lines)}: --full shows all")
            return shown_lines
        left -= len(line)
        shown_lines.append("    " + escaped(line))
    return shown_lines


def _limited(text: str, longest: int, full: bool) -> str:
    if full or len(text) <= longest:
        return escaped(text)
    return escaped(text[:longest]) + f"… {len(text) - longest} more characters: --full shows them"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def as_object(letter: Letter, resolution: Optional[Resolution], *, whole: bool) -> Dict[str, Any]:
    """One letter for programs; `whole`: with the message and its headers, bytes in base64."""
    record = letter.record
    found: Dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "from": {"topic": letter.origin, "partition": letter.partition, "offset": letter.offset},
        "failed_at": iso(letter.failed_at),
        "timestamp": letter.timestamp,
        "replays": letter.replays,
        "claimed_replays": letter.claimed_replays,
        "resolved": None if resolution is None else str(resolution),
        "key": readable(record.key, len(record.key or b"")),
        "dead_letter": {name: text for name, text in letter.ours.items() if whole or name not in _MULTILINE},
    }
    if whole:
        found["key_base64"] = _base64(record.key)
        found["value_base64"] = _base64(record.value)
        found["headers"] = [[name, _base64(value)] for name, value in letter.theirs]
    return found


def _base64(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else base64.b64encode(data).decode()
