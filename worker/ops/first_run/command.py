"""`make run`, the first command somebody tries: shows the service at work, a crash included, with nothing to
install and nothing to configure. Where a cluster is configured it runs the real service on that instead.

One thread. It owns the embedded broker, the supervisor and a temporary directory, and leaves none of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import signal
import sys
import tempfile
import time
from typing import Callable, Dict, List, Mapping, Sequence

from kafka_worker import start
from kafka_worker.ops.first_run.account import Account, read_line, victim
from kafka_worker.ops.first_run.embedded_broker import EmbeddedBroker, EmbeddedBrokerError, send
from kafka_worker.ops.first_run.service import STOP_SECONDS, Service, without_settings
from kafka_worker.shared.configuration import load
from kafka_worker.shared.exit_codes import ExitCode, described
from kafka_worker.shared.foreign.texts import escaped
from kafka_worker.shared.output import streams
from kafka_worker.shared.settings import TABLE
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.shared.system.signals import SignalInbox

GROUP, TOPIC, PARTITIONS = "first-run", "Scenario-Execute", 8
SCENARIOS = 120
PATIENCE_SECONDS = 0.1  # with who does not read our output
STALL_SECONDS = 40.0  # without one more scenario done; then it is given up
INTERRUPTED = 128 + signal.SIGINT  # as a shell would say it

WELCOME = "KAFKA_BOOTSTRAP_SERVERS is not set: a first run, on an embedded broker that is gone afterwards"
NEXT = "Your cluster: copy .env.example to .env, set KAFKA_BOOTSTRAP_SERVERS and KAFKA_GROUP_ID, run this again"

FLAGS = {
    "--processes": "4",
    "--threads": "4",
    "--group": GROUP,
    "--topic": TOPIC,
    "--handler": "kafka_worker.examples.scenario:process_message",
    "--membership": "dynamic",  # the embedded broker knows no static members
    "--commit-interval-seconds": "0.2",
    "--drain-seconds": "10",
}
VARIABLES = {
    "TASK_SECONDS": "1",
    "KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "3000",  # a dead dynamic member is missed only when this is over
    "KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS": "200",
}


def say(text: str) -> None:
    """A line of the first run's own, between those of the service's log. Left out when nobody reads."""
    if streams.has_room(PATIENCE_SECONDS):
        print(f"==> {text}", flush=True)


class FirstRun:
    """The story, in order."""

    def __init__(self, service: Service, account: Account, inbox: SignalInbox) -> None:
        """`inbox` has the signals that end a first run early."""
        self._service = service
        self._account = account
        self._inbox = inbox
        self._interrupted = False
        self._progress = Deadline(STALL_SECONDS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(service, selectors.EVENT_READ)
        self._selector.register(inbox, selectors.EVENT_READ)

    def run(self) -> int:
        """Watch, crash, watch, stop, account. The exit status."""
        account = self._account
        if (
            self._until(lambda: account.done >= account.sent // 3)
            and self._until(self._crash)
            and self._until(lambda: not account.lost)
        ):
            say(f"All {account.sent} scenarios are done: SIGTERM to the supervisor, which stops in order")
        elif not self._interrupted:
            say(f"{account.lost} scenarios are not done, and nothing happens any more: giving up")
        status = self._stop()
        say(f"The service has stopped: {described(status)}. The account, counted from its log:")
        for line in account.lines(complete=not self._interrupted):
            say("    " + line)
        say(NEXT)
        if self._interrupted:
            return INTERRUPTED
        return int(status != ExitCode.OK or account.lost > 0)

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Follow the log until the condition holds; False when the run is over before."""
        while not condition():
            if self._interrupted or self._service.ended or self._progress.expired():
                return False
            self._follow()
        return True

    def _follow(self) -> None:
        """Show what the service has logged, and count it; waits a moment for it."""
        for key, _ in self._selector.select(0.2):
            if key.fileobj is self._service:
                for line in self._service.read_lines():
                    self._show(escaped(line))
                    self._count(line)
        self._hear()

    def _show(self, line: str) -> None:
        """Print it as soon as somebody reads; who interrupts us does not wait for that."""
        while not (self._interrupted or streams.has_room(PATIENCE_SECONDS)):
            self._hear()
        if streams.has_room(0.0):
            print(line, flush=True)

    def _hear(self) -> None:
        """Of signals."""
        if self._inbox.take():
            if not self._interrupted:
                say("Interrupted: the service finishes what runs, and stops (once more: at once)")
            self._interrupted = True
            self._service.stop()

    def _count(self, line: str) -> None:
        event = read_line(line)
        if event is None:
            return
        done = self._account.done
        self._account.note(event, time.monotonic())
        if self._account.done > done:
            self._progress = Deadline(STALL_SECONDS)

    def _crash(self) -> bool:
        """Kill one process, the way a crash or the kernel's memory killer would."""
        crash = victim(self._service.slots(), time.monotonic())
        if crash is None:
            return False
        say(
            f"{self._account.done} of {self._account.sent} done. Now a crash: kill -9 of process {crash.pid} "
            f"(slot {crash.slot}), which runs {crash.running} scenarios"
        )
        os.kill(crash.pid, signal.SIGKILL)
        self._account.crash = crash
        return True

    def _stop(self) -> int:
        """The supervisor's exit status, after the last line of its log."""
        if not self._interrupted:
            self._service.stop()
        deadline = Deadline(STOP_SECONDS)
        while not self._service.ended and not deadline.expired():
            self._follow()
        return self._service.exit_status()


def scenarios() -> List[Dict[str, object]]:
    """The messages: what a client of the service would send."""
    return [{"scenario": number, "name": f"scenario {number}"} for number in range(SCENARIOS)]


def embedded(environment: Mapping[str, str]) -> int:
    """The first run proper."""
    inbox = SignalInbox([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    with contextlib.ExitStack() as things:
        say(WELCOME)
        broker = things.enter_context(contextlib.closing(EmbeddedBroker({TOPIC: PARTITIONS})))
        messages = [(str(each["scenario"]), json.dumps(each).encode()) for each in scenarios()]
        partitions = send(broker.address, TOPIC, messages)
        say(f"Broker at {broker.address}; {len(messages)} messages sent to {TOPIC}, {PARTITIONS} partitions")
        directory = things.enter_context(tempfile.TemporaryDirectory(prefix="first-run-"))
        flags = {**FLAGS, "--bootstrap-servers": broker.address, "--runtime-directory": directory}
        words = [word for flag in flags.items() for word in flag]
        program = "python supervisor.py" if start.program() == start.IN_CHECKOUT else start.program()
        say(f"$ {program} " + " ".join(shlex.quote(word) for word in words))
        say(f"Meanwhile: {program} status --group {GROUP} --runtime-directory {directory}")
        service = things.enter_context(contextlib.closing(Service(words, environment, directory)))
        return FirstRun(service, Account(partitions), inbox).run()


def main() -> int:
    """The command. Words are the real service's, and ask for it as much as a configured cluster does."""
    words = sys.argv[1:]
    faults: Sequence[str] = ()
    try:
        # The command `status` needs no cluster; what it would do is not done.
        found = load.load(["status", "--group", GROUP])
    except load.ConfigurationError as problem:
        found, faults = problem.partial, problem.faults
    environment, cluster = found.child_environment, TABLE["bootstrap_servers"].environment
    # A warning elsewhere, as other programs' variables have such names too; here somebody may be waiting for that cluster.
    faults = [*faults, *(warning for warning in found.warnings if cluster in warning)]
    if words or cluster in environment or cluster + "_FILE" in environment:
        os.execv(sys.executable, start.command("ops.commands", *words))  # noqa: S606 (no shell is the point)
    if faults:
        streams.complain(*faults)
        return ExitCode.CONFIGURATION
    try:
        return embedded({**without_settings(environment), **VARIABLES})
    except EmbeddedBrokerError as problem:
        streams.complain(str(problem))
        return ExitCode.FAULT
    except BrokenPipeError:
        streams.silence()
        return ExitCode.FAULT
