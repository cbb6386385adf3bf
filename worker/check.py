"""Says whether a child could start, without starting one. It reads the settings from standard input, and writes what is wrong,
and what may be, to standard output, as JSON. It is a process of its own, because it runs the user's imports and makes Kafka
clients, neither of which belongs in the supervisor.
"""

from __future__ import annotations

import os
import re
import sys
from json import dump
from typing import Any, Callable, Dict, List

from kafka_worker import kafka  # noqa: F401 (first of all: it imports the client, and less than that would by itself)

# isort: split
from confluent_kafka import Consumer, KafkaException, Producer, libversion

from kafka_worker import start
from kafka_worker.handler import known_errors
from kafka_worker.handler.decoding import spare_quick_decoder
from kafka_worker.handler.routing import Handlers
from kafka_worker.handler.validation import validation
from kafka_worker.kafka import tokens
from kafka_worker.kafka.properties import consumer_properties, of_new_protocol, producer_properties
from kafka_worker.shared.configuration.client.identity import named
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.functions import NoFunctionError
from kafka_worker.shared.leaving import leave
from kafka_worker.shared.output.last_words import MAKING_CLIENT, while_, write_last_words_to
from kafka_worker.shared.settings import Settings

NEW_PROTOCOL = 0x020F0000  # the first client that joins anew after a pause, or when the group is gone (2.15); others end by it
LEAVE_SECONDS = 1.0  # for what the handler's module wants to be done at the end of a program


def main() -> None:
    """Check, print, exit 0."""
    write_last_words_to(os.dup(2))
    settings = Settings.from_json(sys.stdin.read())
    # Whatever the user's module prints while it is imported must not end up among our faults.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what it says last comes last, and by any end
    start.users_first()
    spare_quick_decoder()
    found = faults(settings)
    errors = known_errors.said_of(settings)  # then: the handlers have imported what there is
    dump([found + errors.faults, [] if found else errors.warnings], answer)
    answer.flush()
    leave(ExitCode.OK, LEAVE_SECONDS)  # a thread that the handler's module started must not keep us


def faults(settings: Settings) -> List[str]:
    """One line for each reason why no child could work."""
    # Before there are clients: theirs is not to be taken for what a module closes.
    of_users = Handlers(settings).faults + _of_tokens(settings)
    # A group of our own: without any, which is a fault told elsewhere, the client would abort the process.
    consumer = {**consumer_properties(settings, "check"), "group.id": "check"}
    refused = _of_client(Consumer, consumer) + _of_client(Producer, producer_properties(settings, "check"))
    found = [f"The Kafka client refuses its properties: {named(text, settings)}" for text in dict.fromkeys(refused)]
    found += _of_protocol(consumer)
    found += validation.faults(settings)  # which loading the handlers would tell only of one that is right
    found += of_users
    return list(dict.fromkeys(found))


def _of_tokens(settings: Settings) -> List[str]:
    # It is not asked: who gives tokens may be away for a moment, as a broker may.
    try:
        tokens.of_settings(settings)
    except NoFunctionError as problem:
        return [str(problem)]
    return []


def _of_protocol(properties: Dict[str, Any]) -> List[str]:
    text, number = libversion()
    if number >= NEW_PROTOCOL or not of_new_protocol(properties):
        return []
    remedy = "Update confluent-kafka, or use the classic protocol."
    return [f"KAFKA_CONSUMER_GROUP_PROTOCOL = consumer needs librdkafka 2.15 or newer, and {text} is installed. {remedy}"]


def _of_client(create: Callable[[Dict[str, Any]], Any], properties: Dict[str, Any]) -> List[str]:
    # An address where nobody listens: this is about the properties, not about the cluster.
    try:
        with while_(MAKING_CLIENT):
            create({**properties, "bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    except (KafkaException, ValueError, TypeError) as problem:
        text = problem.args[0].str() if isinstance(problem, KafkaException) else str(problem)
        return [re.sub("^Failed to create (consumer|producer): ", "", text)]
    return []
