"""The words of the command `dead-letters`: what they are, and what is wrong with those that were given. Pure; the clock is
passed in.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.configuration.words.flags import WHERE, Flag

COMMAND = "dead-letters"
_SELECTING = ("list", "replay", "drop")
ACTIONS = ("list", "show", "replay", "drop")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

LetterId = Tuple[int, int]  # partition and offset of a letter in its dead-letter topic


FLAGS = (
    Flag("--error", "TEXT", "letters with this text in the class or message of their error", _SELECTING),
    Flag("--key", "TEXT", "letters with this key, as the list shows it", _SELECTING),
    Flag("--since", "TIME", "letters that failed at this time or later: 2h, 3d (ago), or 2026-11-30T09:00 (UTC)", _SELECTING),
    Flag("--until", "TIME", "letters that failed before this time", _SELECTING),
    Flag("--partition", "N", "letters of messages from this partition of their topic", _SELECTING),
    Flag("--offset", "N", "letters of messages with this offset in their topic", _SELECTING),
    Flag("--limit", "N", "at most N: of a list the newest (50), else the oldest (all)", _SELECTING),
    Flag("--resolved", "", "the letters that were replayed or dropped, instead of the others", ("list",)),
    Flag("--all", "", "all letters, without a filter; with pause and resume: everything", ("replay", "drop")),
    Flag("--again", "", "also letters that were replayed 3 times already, and resolved ones that are named", ("replay",)),
    Flag("--dry-run", "", "say what would be done, and do nothing", ("replay", "drop")),
    Flag("--purge", "", "free the space in front of the first letter that is neither replayed nor dropped", ("drop",)),
    Flag("--full", "", "the whole value and traceback, however long", ("show",)),
)  # fmt: skip
_FILTERS = ("error", "key", "since", "until", "partition", "offset")
#: With the program's name put in.
EXAMPLES = """\
       {0} dead-letters list [filters] [--json]      what failed, newest last
       {0} dead-letters show PARTITION:OFFSET        all of one letter
       {0} dead-letters replay|drop PARTITION:OFFSET… | filters | --all [--dry-run]"""


class DeadLetterRequest(NamedTuple):
    """What an operator wants of the dead letters."""

    action: str
    places: Tuple[LetterId, ...] = ()
    error: str = ""
    key: Optional[str] = None
    since: Optional[float] = None  # seconds since 1970
    until: Optional[float] = None
    partition: Optional[int] = None  # of the topic where the message came from, as is the next one
    offset: Optional[int] = None
    limit: Optional[int] = None
    resolved: bool = False
    all: bool = False
    again: bool = False
    dry_run: bool = False
    purge: bool = False
    full: bool = False
    as_json: bool = False

    @property
    def filtered(self) -> bool:
        """Whether anything says which letters are meant."""
        return any(getattr(self, name) not in (None, "") for name in _FILTERS)


def read(
    given: Mapping[str, Any], words: Sequence[str], now: float, *, as_json: bool
) -> Tuple[Optional[DeadLetterRequest], List[str]]:
    """What the words behind the command and the flags given (by `Flag.name`) mean at `now` (seconds since 1970), and what is
    wrong with them; nothing, when that is so much that no action can be told."""
    if not words or words[0] not in ACTIONS:
        what = (
            f"{words[0]} {WHERE} is nothing that can be done with dead letters" if words else f"{COMMAND} does nothing alone"
        )
        return None, [f"{what}. Write {COMMAND} list, show, replay or drop. See --help."]
    faults: List[str] = []
    values: Dict[str, Any] = {"action": words[0], "as_json": as_json}
    for flag in FLAGS:
        if flag.name in given:
            if words[0] not in flag.goes_with:
                faults.append(f"{flag.word} {WHERE} goes with {COMMAND} {' or '.join(flag.goes_with)} only. Leave it out.")
            values[flag.word.strip("-").replace("-", "_")] = _value(flag, given[flag.name], now, faults)
    values["places"] = tuple(place for place in (_place(word, faults) for word in words[1:]) if place is not None)
    if as_json and words[0] not in ("list", "show"):
        faults.append(f"--json {WHERE} goes with {COMMAND} list or show only. Leave it out.")
    wanted = DeadLetterRequest(**values)
    return wanted, faults + _contradictions(wanted)


def _contradictions(wanted: DeadLetterRequest) -> List[str]:
    if wanted.action == "list":
        return [f"{COMMAND} list takes no places; {COMMAND} show shows a letter."] if wanted.places else []
    if wanted.action == "show":
        return (
            [] if wanted.places else [f"{COMMAND} show needs the places of letters, PARTITION:OFFSET, as the list shows them."]
        )
    ways = [bool(wanted.places), wanted.filtered, bool(wanted.all)]
    if sum(ways) > 1:
        return [f"{COMMAND} {wanted.action} takes places, filters or --all, not several of them. Leave out the rest."]
    if not any(ways) and wanted.purge and wanted.limit is not None:
        return [f"{COMMAND} drop --purge alone drops nothing that --limit could limit. Leave it out."]
    if not any(ways) and not wanted.purge:
        known = "PARTITION:OFFSET…, a filter such as --error or --since, or --all for every one"
        return [f"{COMMAND} {wanted.action} needs to know which letters: {known}. See --help."]
    return []


def _value(flag: Flag, text: Any, now: float, faults: List[str]) -> Any:
    """The value of a flag; None with a fault for what can't be read."""
    reader = _READERS.get(flag.value)
    if reader is None or not flag.value:
        return text
    wanted, read_value = reader
    value = read_value(text, now)
    if value is None:
        faults.append(f"{flag.word} = {text!r} {WHERE}: wanted: {wanted}. Correct it.")
    return value


def _place(word: str, faults: List[str]) -> Optional[LetterId]:
    found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", word, re.ASCII)
    if found is None:
        faults.append(f"{word} {WHERE} is no place of a letter. Wanted: PARTITION:OFFSET, as the list shows it.")
        return None
    return int(found[1]), int(found[2])


def _number(text: str, _now: float) -> Optional[int]:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _time(text: str, now: float) -> Optional[float]:
    ago = span(text)
    return moment(text) if ago is None else now - ago


def span(text: str) -> Optional[int]:
    """How long, in seconds: 90s, 15m, 2h, 3d or 1w; None for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    return int(found[1]) * _SECONDS[found[2]] if found else None


def moment(text: str) -> Optional[float]:
    """An ISO 8601 time in seconds since 1970, UTC unless it says otherwise; None for anything else."""
    from datetime import datetime, timezone  # here, because most commands have no time in them

    try:
        read_time = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text.strip()))
        return (read_time if read_time.tzinfo else read_time.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


_READERS: Dict[str, Tuple[str, Callable[[str, float], Any]]] = {
    "N": ("a whole number", _number),
    "TIME": ("how long ago, like 90s, 15m, 2h, 3d or 1w, or a time like 2026-11-30 or 2026-11-30T09:00 (UTC)", _time),
}
