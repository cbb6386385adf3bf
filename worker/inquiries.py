"""What the supervisor asks this process on somebody's behalf: where the code of handlers is now, and what becomes of one
message. The main thread answers, so that a process whose consumer thread or handler hangs is not silent about it; it waits for
what only the consumer thread, or a task process, knows, and leaves out what they do not say.
"""

from __future__ import annotations

import threading
import time
from concurrent import futures
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from kafka_worker.isolation import isolated
from kafka_worker.isolation.task_process import TaskProcess
from kafka_worker.loop import MOST_SOUGHT, ConsumerLoop
from kafka_worker.partitions.task import Task, attempt_of, id_of, why_void
from kafka_worker.pools import stacks
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.shared.ipc.channel import Message
from kafka_worker.shared.ipc.snapshot import HeadReport, as_json

WAIT_SECONDS = 1.0  # for the consumer thread, and for task processes, to say what they know; the supervisor waits for two
MOST_TASKS = 50  # in one answer, the longest running ones


class Inquiry(NamedTuple):
    """One that is not answered yet."""

    number: int
    topic: Optional[str]  # of the tasks that are meant; None: all
    partition: Optional[int]
    sought: Optional[futures.Future[Optional[HeadReport]]]  # what becomes of one message
    threads: bool  # whether all threads of the process are meant, too
    asked: List[TaskProcess]  # where their code is
    until: float  # monotonic seconds


class Inquiries:
    """Those of one process. The main thread's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked yet."""
        self._clock = clock
        self._open: List[Inquiry] = []

    def ask(self, number: int, question: Message, loop: ConsumerLoop) -> None:
        """It is answered by `answers`. `loop` knows what runs."""
        topic, partition, offset = (question.get(name) for name in ("topic", "partition", "offset"))
        named = isinstance(topic, str) and isinstance(partition, int) and isinstance(offset, int)
        sought = loop.seek((str(topic), int(partition or 0), int(offset or 0))) if named else None
        until = self._clock() + WAIT_SECONDS
        inquiry = Inquiry(number, topic, partition, sought, bool(question.get("threads")), [], until)
        for thread, _ in _longest(inquiry, loop):
            process = isolated.in_thread(thread.name)
            if process is not None:
                process.want_calls()
                inquiry.asked.append(process)
        self._open = [*self._open, inquiry][-MOST_SOUGHT:]

    def answers(self, loop: ConsumerLoop) -> List[Message]:
        """Those that can be given now."""
        if not self._open:
            return []
        now = self._clock()
        ready = [each for each in self._open if now >= each.until or _heard(each)]
        self._open = [each for each in self._open if each not in ready]
        return [{"number": each.number, "answer": _answer(each, loop, now)} for each in ready]


def _answer(inquiry: Inquiry, loop: ConsumerLoop, now: float) -> Message:
    answer: Dict[str, Any] = {"tasks": [_of_task(thread, task, now) for thread, task in _longest(inquiry, loop)]}
    if inquiry.threads:
        answer["threads"] = [_of_thread(thread) for thread in threading.enumerate()]
    if inquiry.sought is not None and inquiry.sought.done():
        found = inquiry.sought.result()
        answer["sought"] = as_json(found) if found else None
    return answer


def _longest(inquiry: Inquiry, loop: ConsumerLoop) -> List[Tuple[HandlerThread, Task]]:
    running = [(thread, task) for thread, task in loop.shown() if _meant(inquiry, task)]
    return sorted(running, key=lambda each: each[0].started)[:MOST_TASKS]


def _meant(inquiry: Inquiry, task: Task) -> bool:
    topic, partition, _ = id_of(task)
    return inquiry.topic in (None, topic) and inquiry.partition in (None, partition)


def _of_task(thread: HandlerThread, task: Task, now: float) -> Message:
    topic, partition, offset = id_of(task)
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "attempt": int(attempt_of(task)),
        "thread": thread.name,
        "seconds": max(0.0, now - thread.started),
        "void": why_void(task),
        "calls": _calls(thread),
        "task_process": _task_process(thread),
    }


def _of_thread(thread: threading.Thread) -> Message:
    return {"name": thread.name, "calls": stacks.plain(stacks.of_thread(thread.ident or 0))}


def _calls(thread: HandlerThread) -> stacks.PlainCalls:
    """Of the handler: here, or in the task process of this thread, if that one has said it."""
    process = isolated.in_thread(thread.name)
    return stacks.plain(stacks.of_handler(thread.calls())) if process is None else process.calls or []


def _task_process(thread: HandlerThread) -> int:
    """The pid of the one in which it runs; 0: it runs here."""
    process = isolated.in_thread(thread.name)
    return process.pid if process else 0


def _heard(inquiry: Inquiry) -> bool:
    """Whether all that were asked have said what they know."""
    return (inquiry.sought is None or inquiry.sought.done()) and all(process.calls is not None for process in inquiry.asked)
