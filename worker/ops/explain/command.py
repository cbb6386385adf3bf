"""`supervisor.py explain TOPIC[/PARTITION[/OFFSET]]` and `stacks [SLOT]`: ask the service, then those of its processes that
are concerned, and print. Who does not answer is told of as far as the snapshot says it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional

from kafka_worker.ops import asking
from kafka_worker.ops.explain import text
from kafka_worker.ops.explain.cases import Case, cases, owned
from kafka_worker.ops.tables import duration, in_brackets, safe
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.snapshot import SlotReport, Snapshot, from_json
from kafka_worker.shared.output.streams import show

TOLD, NOT_TOLD = 0, 1  # exit codes


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    command = _stacks if configuration.asked.command == "stacks" else _explain
    return asking.exit_code_of(
        configuration.settings, lambda found: command(found, from_json(Snapshot, found.snapshot), configuration)
    )


# ---- explain ----------------------------------------------------------------------------------------------------------


def _explain(found: asking.RunningService, snapshot: Snapshot, configuration: Configuration) -> int:
    place = configuration.asked.place or Place("")
    asked = [_asked(case, found) for case in cases(snapshot, place)]
    if configuration.asked.as_json:
        show(json.dumps([case.as_json() for case in asked], indent=2))
    elif asked:
        show(safe(text.paragraphs(asked)))
    else:
        problems = "".join(f"\n  {problem}" for problem in snapshot.problems)
        none = f"{place}: no process of this service has it ({owned(snapshot, place)})"
        show(safe(f"{none}. Who has it, of all hosts: lag{problems}"))
    return TOLD if asked else NOT_TOLD


def _asked(case: Case, found: asking.RunningService) -> Case:
    """With what its process says, if there is something to ask."""
    return replace(case, answer=found.inquire(case.slot.slot, case.question)) if case.question else case


# ---- stacks -----------------------------------------------------------------------------------------------------------


def _stacks(found: asking.RunningService, snapshot: Snapshot, configuration: Configuration) -> int:
    slots = [slot for slot in snapshot.slots if slot.pid and configuration.asked.slot in (None, slot.slot)]
    answers = {slot.slot: found.inquire(slot.slot, {"threads": True}) for slot in slots}
    if configuration.asked.as_json:
        show(json.dumps([{"slot": slot.slot, "pid": slot.pid, **answers[slot.slot]} for slot in slots], indent=2))
    elif slots:
        show(safe("\n\n".join(_of_process(slot, answers[slot.slot]) for slot in slots)))
    else:
        show(f"No process in slot {configuration.asked.slot}" if configuration.asked.slot is not None else "No process")
    return TOLD if slots and not any("error" in answer for answer in answers.values()) else NOT_TOLD


def _of_process(slot: SlotReport, answer: Dict[str, Any]) -> str:
    lines = [f"slot {slot.slot}, pid {slot.pid}"]
    if "error" in answer:
        return f"{lines[0]}: {answer['error']}. kill -ABRT {slot.pid} prints its stacks, and ends it"
    running: Dict[str, List[Dict[str, Any]]] = {}
    for task in answer["tasks"]:
        running.setdefault(task["thread"], []).append(task)
    threads = {thread["name"]: thread["calls"] for thread in answer["threads"]}
    for name in [*threads, *(name for name in running if name not in threads)]:
        lines += _of_thread(name, threads.get(name), running.get(name, []))
    return "\n".join(lines)


def _of_thread(name: str, calls: Optional[List[List[Any]]], tasks: List[Dict[str, Any]]) -> List[str]:
    """`tasks`: the one that runs in it, or those of a list."""
    runs = ""
    for task in tasks[:1]:
        place = f"{task['topic']}[{task['partition']}] offset {task['offset']}" + in_brackets(task.get("void", ""))
        others = f" and {len(tasks) - 1} more" if tasks[1:] else ""
        runs = f": {place}{others}, for {duration(task['seconds'])}, attempt {task['attempt']}"
        if calls is None or (task["calls"] and task["calls"][-1] not in calls):  # a coroutine, or in a task process
            calls = task["calls"]
    lines = [f"  {name}{runs}"]
    for file, line, function, code in calls or []:
        lines += [f"    {file}:{line} {function}", *([f"      {code}"] if code else [])]
    return lines
