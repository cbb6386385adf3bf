"""Asks a throw-away process (`check`) whether handler and client properties are usable, before anything starts. A wrong one
would otherwise show only when every child dies of it. And tells whatever is wrong with the configuration."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from contextlib import closing
from typing import IO, Callable, List, Mapping, NamedTuple, Optional

from kafka_worker import start
from kafka_worker.shared import exit_codes, http_settings
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.output import streams
from kafka_worker.shared.output.last_words import MAKING_CLIENT, LastWords
from kafka_worker.shared.output.streams import complain
from kafka_worker.shared.routes import described
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import orphans, room, signals
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.supervision.children.prepared import make_end
from kafka_worker.supervision.systemd import without_systemd

LOOK_SECONDS = 0.002  # beyond which it may have ended, and the service begins later for it
MOST_BYTES = 1 << 20  # that it may say
LONGEST_LINE = 500  # characters of a user's that are told
ENDS_PROGRAM = "SystemExit: "
LIMIT_SECONDS = 4.0  # a handler whose import takes longer is left to the children: it is slow, not wrong
THOROUGH_SECONDS = 30.0  # the same, where nothing is to be started, and somebody wants to know


def of_machine(settings: Settings) -> List[str]:
    """One line for each thing that the settings need and this machine has not, or does not let us have."""
    return [*http_settings.missing(settings.http), *room.make(settings)]


class Found(NamedTuple):
    """What the process has found, one line each."""

    faults: List[str]  # why no child could work
    warnings: List[str] = []  # noqa: RUF012 (never written to)
    late: bool = False  # it was not done in time


def thorough(settings: Settings, environment: Mapping[str, str]) -> Found:
    """The same as `look` for whoever starts nothing, and is told that it took too long."""
    found = look(settings, environment, seconds=THOROUGH_SECONDS)
    slow = f"{_named(settings)} can't be imported within {THOROUGH_SECONDS:g} s: whether it is usable is not known"
    return Found([], [slow]) if found.late else found


def look(
    settings: Settings,
    environment: Mapping[str, str],
    meanwhile: Callable[[], object] = lambda: None,
    seconds: float = LIMIT_SECONDS,
) -> Found:
    """What is wrong, or may be; nothing if it can't be told within so many seconds, or nobody wants to know any more.
    `meanwhile` is called when the process has begun."""
    with streams.in_memory() as asked, streams.in_memory() as answer, closing(LastWords()) as words:
        asked.write(settings.to_json().encode())
        asked.seek(0)
        try:
            process = subprocess.Popen(
                start.command("check", "--check"),
                stdin=asked, stdout=answer, stderr=words.fileno(),  # no pipes: what the import leaves would keep them open
                env=without_systemd(environment),
                start_new_session=True,
            )  # fmt: skip
        except OSError as problem:
            lack = room.lack(settings)  # that may pass: the supervisor tells it, and tries again
            return Found([] if lack else [f"No process can be started: {problem}"])
        code = _ended(process, meanwhile, seconds)
        orphans.end_left_behind(process.pid, signal.SIGKILL)
        if code is None:
            return Found([], late=True)
        try:
            faults, warnings = json.loads(_read(answer))
            return Found(_with_its_words(list(map(str, faults)), words), list(map(str, warnings)))
        except (ValueError, TypeError):
            return Found([] if room.lack(settings) else [_of_death(settings, code, words)])


def _with_its_words(faults: List[str], words: LastWords) -> List[str]:
    """Of a module that ends the program (`sys.exit(1)`), or has its arguments parsed, which are ours: it has said why. (Of
    several, another may have spoken last.)"""
    line = _last_line(words)
    told = [bool(line) and ENDS_PROGRAM in fault and not fault.startswith("HANDLERS=") for fault in faults]
    return [f"{fault}; it has said: {line}" if its else fault for fault, its in zip(faults, told)]


def _last_line(words: LastWords) -> str:
    return words.read().partition("Fatal Python error: ")[0].strip().rsplit("\n", 1)[-1][:LONGEST_LINE]


def _of_death(settings: Settings, code: int, words: LastWords) -> str:
    line = _last_line(words)
    how = exit_codes.described(code) + (line and f": {line}")
    if MAKING_CLIENT in words.how(""):
        return f"The Kafka client ends the process that makes it ({how})"
    return f"{_named(settings)} ends the process that imports it, or closes descriptors of it ({how})"


def _named(settings: Settings) -> str:
    return f"{'HANDLERS' if settings.handlers else 'HANDLER'}={described(settings)}"


def _ended(process: subprocess.Popen[bytes], meanwhile: Callable[[], object], seconds: float) -> Optional[int]:
    """Its exit status; None: it was killed, because it takes too long, or because we are asked to stop."""
    deadline = Deadline(seconds)
    try:
        meanwhile()
        while not deadline.expired() and not {signal.SIGTERM, signal.SIGINT}.intersection(signals.noted()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
        return None
    finally:
        make_end(process)


def _read(file: IO[bytes]) -> bytes:
    return os.pread(file.fileno(), MOST_BYTES, 0)


def refuse(faults: List[str], command: str = "run") -> ExitCode:
    """The configuration can't work: say all of it at once, and start nothing."""
    undone = "started" if command == "run" else "done"
    complain(f"The configuration is wrong, nothing was {undone}:", *(f"  - {fault}" for fault in faults))
    program = start.program()
    in_checkout = program == start.IN_CHECKOUT
    more = f"A first look without a Kafka: {'make run' if in_checkout else 'python -m kafka_worker.ops.first_run'}"
    settings = f"All settings: {program} --help{', .env.example' if in_checkout else ''}."
    complain(" ".join([settings, *([more] if command == "run" else [])]))
    return ExitCode.CONFIGURATION
