"""The words of `pause`, `resume`, `pauses` and `park`: what they mean, and what is wrong with them. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.configuration.words import dead_letter_flags
from kafka_worker.shared.configuration.words import place as places
from kafka_worker.shared.configuration.words.flags import WHERE, Flag
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.foreign.texts import shortened
from kafka_worker.shared.ipc.orders import REASON, is_reason

COMMANDS = ("pause", "resume", "pauses", "park")
ALL = "--all"  # a flag of `dead-letters`, too
FOR_ALL = ("pause", "resume")
LONGEST_SHOWN = 60  # of a reason that is none, characters


FLAGS = (
    Flag(
        "--reason",
        "TEXT",
        "why, for whoever finds it so; it is also in the error of a parked message's dead letter",
        ("pause", "park"),
    ),
    Flag("--for", "TIME", "90s, 30m, 2h or 1d; then it goes on by itself", ("pause",)),
)
#: With the program's name put in.
EXAMPLES = """\
       {0} pause TOPIC[/PARTITION] | --all --reason TEXT [--for 30m]
                                                on this host: finish what runs, start and fetch no more
       {0} resume TOPIC[/PARTITION] | --all     go on
       {0} pauses [--json]                      what operators have ordered on this host
       {0} park TOPIC/PARTITION/OFFSET --reason TEXT
                                                give up one message: it becomes a dead letter
"""


class OrderRequest(NamedTuple):
    """What an operator wants."""

    place: Place
    reason: str = ""
    seconds: Optional[int] = None  # until it ends by itself; None: it does not


def read(command: str, given: Mapping[str, Any], words: Sequence[str]) -> Tuple[OrderRequest, List[str]]:
    """What the words behind the command, and the flags given (by `Flag.name`), mean, and what is wrong with them."""
    faults: List[str] = []
    place = Place("") if command == "pauses" else _place(command, words, faults, everything="flag_all" in given)
    if command == "pauses" and words:
        faults.append(f"{' '.join(words)} {WHERE}: pauses lists all there are. Leave it out.")
    reason, seconds = given.get("flag_reason", ""), None
    if command in FLAGS[0].goes_with and not reason.strip():
        faults.append(f"{command} wants --reason TEXT: whoever finds it so will ask why.")
    elif reason and not is_reason(reason):
        shown = shortened(ascii(reason), LONGEST_SHOWN)
        faults.append(f"--reason = {shown} {WHERE}: wanted: {REASON}. Correct it.")
    if "flag_for" in given:
        seconds = dead_letter_flags.span(given["flag_for"])
        if not seconds:
            faults.append(f"--for = {given['flag_for']!r} {WHERE}: wanted: how long, like 90s, 30m, 2h or 1d. Correct it.")
    return OrderRequest(place, reason, seconds), faults


def _place(command: str, words: Sequence[str], faults: List[str], *, everything: bool) -> Place:
    if everything and not words:
        return Place("")
    found, _ = places.place(words)
    if command == "park" and (found is None or found.offset is None):
        faults.append("park wants one TOPIC/PARTITION/OFFSET, as orders/3/120.")
    elif everything or found is None or (command == "pause" and found.offset is not None):
        faults.append(f"{command} wants one TOPIC or TOPIC/PARTITION, as orders/3, or --all for everything on this host.")
    return found or Place("")


def fields(request: OrderRequest) -> Dict[str, Any]:
    """As the service is told."""
    return {**request.place._asdict(), "reason": request.reason, "seconds": request.seconds}
