"""Checks of this machine and its settings. Pure."""

from __future__ import annotations

from kafka_worker.ops.doctor.facts import Facts
from kafka_worker.ops.doctor.verdict import State, Verdict, first_of, ok
from kafka_worker.shared.configuration.client.identity import forgotten
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.system.memory import MEBIBYTE, size

MEMORY_OF_A_PROCESS = 50 * MEBIBYTE  # under a backlog, with a handler that needs little
DRAIN_MARGIN_SECONDS = 15.0  # for what a stop does beside the drain


def configuration(facts: Facts) -> Verdict:
    idle = forgotten(facts.settings)
    warned = [Verdict(State.WARN, idle, "see --help")] if idle else []
    right = ", ".join(["settings are valid", *(f"{topic} has its own" for topic in facts.settings.topic_tables)])
    return first_of([Verdict(State.FAIL, fault, "see --help") for fault in facts.faults] + warned, right)


def machine(facts: Facts) -> Verdict:
    wrong = [Verdict(State.FAIL, fault, "do what it says") for fault in facts.lacking]
    return first_of(wrong, "libraries are there, and enough files may be open")


def handler(facts: Facts) -> Verdict:
    fix = "correct what it names; --check-config says the same"
    wrong = [Verdict(State.FAIL, fault, fix) for fault in facts.unusable]
    wrong += [Verdict(State.WARN, warning, "look at what it names") for warning in facts.doubtful]
    return first_of(wrong, "handler and client properties are usable")


def folders(facts: Facts) -> Verdict:
    fix = "run it as the user of the service, make room on that disk, or set RUNTIME_DIRECTORY and STATE_DIRECTORY"
    wrong = [Verdict(State.FAIL, fault, fix) for fault in facts.unwritable]
    return first_of(wrong, f"{facts.settings.runtime_directory} and {facts.settings.state_directory}")


def memory(facts: Facts) -> Verdict:
    if not facts.memory:
        return Verdict(State.SKIPPED, "how much memory there is can't be told")
    limit, processes = size(facts.settings.memory_limit), facts.settings.processes
    needed = limit or processes * MEMORY_OF_A_PROCESS
    text = f"{counted(processes, 'process')}: {needed // MEBIBYTE} MB or more needed, {facts.memory // MEBIBYTE} MB are there"
    if needed > facts.memory:
        return Verdict(State.WARN, text, "lower " + ("MEMORY_LIMIT" if limit else "PROCESSES"))
    return ok(text)


def stop_time(facts: Facts) -> Verdict:
    drain = facts.settings.drain_seconds
    return ok(
        f"a stop may take {drain + DRAIN_MARGIN_SECONDS:g} s (DRAIN_SECONDS = {drain:g}): TimeoutStopSec= of systemd, "
        "terminationGracePeriodSeconds of Kubernetes must be no less"
    )


def versions(facts: Facts) -> Verdict:
    return ok(facts.versions)
