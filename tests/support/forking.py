"""`python -m tests.support.forking FOLDER KIND …`: pools of these kinds, whose handlers fork in the middle of their work, and
whose copies come back. Says what became of it, as JSON. In a process of its own, because what is wrong would go on in copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
from typing import Dict, Iterator, List, Tuple

from kafka_worker.handler.loading import load
from kafka_worker.isolation.frames import Frames
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import Names
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.journal import Journal
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.system import forks
from kafka_worker.shared.system.locks import Lock
from kafka_worker.shared.system.signals import SignalInbox
from tests.support.eventually import eventually
from tests.unit.fakes import Message

NAMES = Names("11111111", "22222222")
TASKS, SECONDS = 40, 20.0
OURS: Dict[str, os.stat_result] = {}  # what no copy may have
KEPT: List[str] = []  # what of it one has all the same
CALLS: List[int] = []  # descriptor of a file that has a byte for each, those of copies too


def process(number: int) -> None:
    """Every fourth forks, and its program can't be started."""
    os.write(CALLS[0], b"x")
    if number % 4 == 3:
        pid = os.fork()
        if pid == 0:
            os.execv("/no/such/program", ["program"])
        os.waitpid(pid, 0)


def process_list(messages: List[int]) -> None:
    """The same for a list."""
    for number in messages:
        process(number)


async def process_soon(number: int) -> None:
    """The same as a coroutine; half of the copies wait for something first."""
    try:
        process(number)
    except FileNotFoundError:
        if number % 8 == 7:
            await asyncio.sleep(0)
        raise
    await asyncio.sleep(0)


def process_by_hand(number: int) -> None:
    """Uses copies as one should, and ends them by a signal."""
    os.write(CALLS[0], b"x")
    if number == 0:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.map(abs, [-number, -1]) == [number, 1]


def process_in_haste(number: int) -> None:
    """Copies that are ended in the moment they are made."""
    os.write(CALLS[0], b"x")
    for _ in range(TASKS if number == 0 else 0):
        copy = os.fork()
        if copy == 0:
            signal.alarm(int(SECONDS))
            threading.Event().wait()
        os.kill(copy, signal.SIGTERM)
        assert os.waitpid(copy, 0) == (copy, signal.SIGTERM)


def leave_one_behind(number: int) -> None:
    """A copy that outlives us, and says which descriptors of ours it has."""
    os.write(CALLS[0], b"x")
    if number == 0:
        theirs, words = os.pipe()
        if os.fork() == 0:
            os.close(1)  # else whoever reads what we say waits for it
            ours = {(file.st_dev, file.st_ino): name for name, file in OURS.items()}
            os.write(words, json.dumps(sorted({ours[file] for file in files() if file in ours})).encode())
            os.close(words)
            threading.Event().wait()
        os.close(words)
        with open(theirs, "rb") as told:
            KEPT.extend(json.load(told))


def files() -> Iterator[Tuple[int, int]]:
    """All that this process has open."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the folder itself
            yield os.fstat(int(name)).st_dev, os.fstat(int(name)).st_ino


def pool_of(kind: str) -> Pool:
    """Of this kind of handler."""
    call = load(f"tests.support.forking:{kind}").call
    if kind == "process_soon":
        return AsyncPool(10, call)
    return BatchPool(2, call, 3) if kind == "process_list" else Pool(2, call)


def ran(kind: str, journal: Journal) -> Tuple[int, int, List[str]]:
    """How many tasks are done, how many calls there were, and what failed."""
    before = os.fstat(CALLS[0]).st_size
    partition = Partition("topic", 0)
    partition.tracker._memory = lambda base: journal.allocate("topic", 0, base, NAMES)
    segment, _ = partition.tracker.take(0, TASKS)
    pool = pool_of(kind)
    pool.start()
    pool.serve([partition.queue])
    partition.queue.extend(
        [(number, segment, Message(number, value=b"%d" % number), None, 1, partition) for number in range(TASKS)]
    )
    pool.wake(TASKS)
    eventually(lambda: partition.tracker.watermark() == TASKS or pool.undecided, SECONDS, "all are done")
    failed = [repr(getattr(each, "error", each)) for each in pool.undecided]
    return partition.tracker.watermark(), os.fstat(CALLS[0]).st_size - before, failed


def main(folder: str, *kinds: str) -> None:
    """Runs the tasks of each kind, and says what became of them, and which signals came."""
    CALLS.append(os.open(os.path.join(folder, "calls"), os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    inbox = SignalInbox([signal.SIGTERM])
    lock = Lock(os.path.join(folder, "lock"))
    lock.acquire()
    journal = Journal(os.path.join(folder, "journal"))
    channel, frames = socket.socketpair()
    held = [Channel(channel), Frames(frames)]
    forks.leave(held[0], Channel.close)
    names = {"signals": inbox._reader, "their writer": inbox._writer, "channel": channel, "frames": frames}
    OURS.update({name: os.fstat(each.fileno()) for name, each in names.items()})
    OURS.update({name: os.stat(os.path.join(folder, name)) for name in ("lock", "journal")})
    told = {kind: ran(kind, journal) for kind in kinds}
    print(json.dumps({**told, "signals": inbox.take(), "kept": KEPT}), flush=True)
    del held
    os._exit(0)


if __name__ == "__main__":
    sys.modules["tests.support.forking"] = sys.modules["__main__"]  # where the handlers are
    main(*sys.argv[1:])
