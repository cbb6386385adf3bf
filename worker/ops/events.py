"""`python supervisor.py events`: what has happened of late in the service that runs, as its supervisor has kept it: the last
200 events of all its processes but task processes, by the words of `shared.events`. With `--follow` until it is interrupted,
whatever becomes of the service meanwhile.

Exit code: 0 told, 1 the service that runs keeps none, 2 it does not run.
"""

from __future__ import annotations

import json
import os
import select
import signal
from datetime import datetime
from typing import Any, Dict, List, Optional

from kafka_worker.ops import asking
from kafka_worker.ops.tables import safe
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.channel import Message
from kafka_worker.shared.output.streams import complain, show
from kafka_worker.shared.system.signals import SignalInbox

TOLD, NOT_TOLD = 0, 1  # exit codes
SECONDS = 1.0  # between two looks


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    found: Optional[asking.RunningService] = None
    told: Message = {}
    reader = os.dup(1)  # `show` leads standard output to nowhere once that is gone
    try:
        found = asking.find(configuration.settings)
        told = found.ask("events", {})
    except control.NotRunningError as problem:
        complain(problem.told)
        if not configuration.asked.events.follow:
            return asking.NOT_RUNNING
    if "error" in told:
        complain(f"The service that runs keeps no events: {told['error']}")
        return NOT_TOLD
    newest = configuration.asked.events.newest
    _show(told.get("events", [])[-newest if newest else None :], configuration)
    if configuration.asked.events.follow:
        _follow(found, told, configuration, reader)
    return TOLD


def _follow(found: Optional[asking.RunningService], told: Message, configuration: Configuration, reader: int) -> None:
    """Until a signal, or the end of whoever reads. To find a service costs it a whole snapshot: only when there is none."""
    inbox, ended = SignalInbox([signal.SIGINT, signal.SIGTERM]), select.poll()
    ended.register(inbox, select.POLLIN)
    ended.register(reader, 0)
    is_there = bool(told)
    while not ended.poll(SECONDS * 1000):
        try:
            found = found or asking.find(configuration.settings)
            told = found.ask("events", {"after": told.get("newest", 0), "began": told.get("began", 0)})
            _show(told.get("events", []), configuration)
            is_there = True
        except control.NotRunningError as problem:
            found = None
            if is_there:
                complain(problem.told)
            is_there = False


def _show(events: List[Dict[str, Any]], configuration: Configuration) -> None:
    lines = map(json.dumps, events) if configuration.asked.as_json else map(line, events)
    for each in lines:
        show(each)


def line(event: Dict[str, Any]) -> str:
    """An event, for people."""
    process, word, message = (str(event.get(name, "")) for name in ("process", "event", "message"))
    return safe(f"{_time(event)}  {event.get('level', ''):<7}  {process:<10}  {word:<18}  {message}".replace("\n", " "))


def _time(event: Dict[str, Any]) -> str:
    """Of this machine."""
    at = datetime.fromisoformat(str(event.get("time", "1970-01-01T00:00:00+00:00")))
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
