"""A Kafka client for the commands: whatever they ask of a cluster begins here, and so does what is told of one that does not
answer. Every wait has a limit.

It is a member of no group: partitions are assigned by hand, and nothing is committed. The service's own group id is given to
the client all the same, because the rights of the service are for that one.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker import start
from kafka_worker.kafka.errors import Meaning, meaning
from kafka_worker.kafka.tokens import Tokens, of_settings, with_tokens
from kafka_worker.shared.configuration.client import identity
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.functions import NoFunctionError
from kafka_worker.shared.output.streams import complain
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

ANSWER_SECONDS = 10.0  # for a broker to say anything
FIRST_SECONDS = 1.0  # of these, after which it is known whether one has refused us
POLL_SECONDS = 0.2
BATCH = 500  # messages, taken at once
_QUIET = {"log_level": 0}  # what the client has to say comes as errors too, and those are told

NOT_ALL, NO_BROKER = 1, 2  # exit codes: something could not be done; nobody answers

Range = Tuple[int, int]  # first offset, and the one behind the last


class BrokerError(Exception):
    """The broker refuses something; the text says what."""


class NoBrokerError(BrokerError):
    """No broker answers."""


class OneAwayError(BrokerError):
    """The broker that has what is asked for does not answer; others do."""


class NoTokenError(NoBrokerError):
    """We have no token to sign in with, so no broker is asked."""


class PropertyError(Exception):
    """The client refuses a property that the user has set, or a broker what it says of us."""


Client = TypeVar("Client", bound="Connection")


def exit_code_of(settings: Settings, client: Type[Client], command: Callable[[Client], int]) -> int:
    """The exit code of a command that asks a cluster by such a client; why it can't is told in words."""
    try:
        with client(settings) as connected:
            return command(connected)
    except PropertyError as problem:
        complain(f"The configuration is wrong: {problem}")
        return ExitCode.CONFIGURATION
    except NoBrokerError as problem:
        complain(f"No broker answers at {settings.bootstrap_servers}: {problem}")
        complain(identity.forgotten(settings) or "Are address and protocol right?")
        return NO_BROKER
    except OneAwayError as problem:
        complain(f"Given up: {problem}. Others do: `check` says which do not")
        return NOT_ALL
    except BrokerError as problem:
        complain(f"The broker refuses: {problem}")
        return NOT_ALL


class Connection:
    """Reads of topics and of what is known of them. Use it in a `with`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        self._settings = settings
        self._complaint = ""  # the client's last: why nothing comes
        self._anonymous = ""  # why the client itself can't get a token
        self._refused = ""  # why a broker will have nothing to do with us, or we with it
        self._common = {**_QUIET, **settings.client_properties, "bootstrap.servers": settings.bootstrap_servers}
        self._tokens = _tokens(settings)
        self._consumer: Consumer = self._made(
            Consumer,
            {
                "queued.max.messages.kbytes": 8192,
                "fetch.wait.max.ms": 10,  # a second look would wait until the fetch of the first is answered
                **settings.consumer_properties,
                "group.id": settings.group_id,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",  # what retention takes while we read is gone
            },
        )

    def __enter__(self: Client) -> Client:  # noqa: PYI019 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def topics(self) -> Dict[str, List[int]]:
        """All topics that this user may see, with the numbers of their partitions. Asked by name, one might be made."""
        return partitions_of(self._metadata())

    def _metadata(self) -> Any:
        try:
            return self._asked_for_topics(FIRST_SECONDS)
        except KafkaException:
            pass  # it may be slow
        try:
            return self._asked_for_topics(max(FIRST_SECONDS, ANSWER_SECONDS - FIRST_SECONDS))
        except KafkaException as problem:
            raise NoBrokerError(self._complaint or str(problem.args[0].str())) from problem

    def _asked_for_topics(self, seconds: float) -> Any:
        try:
            return self._consumer.list_topics(timeout=seconds)
        except KafkaException as problem:
            self._consumer.poll(0)  # brings the complaints
            no_token = self._anonymous if self._tokens is None else self._tokens.problem
            if no_token:
                raise NoTokenError(no_token) from problem
            if self._refused:
                raise PropertyError(identity.refused(self._refused, self._settings)) from problem
            raise

    def ranges(self, topic: str, partitions: Sequence[int]) -> Dict[int, Range]:
        """What each partition holds now."""
        deadline = Deadline(ANSWER_SECONDS)
        return {number: self._range(ClientPartition(topic, number), deadline) for number in partitions}

    def _range(self, place: ClientPartition, deadline: Deadline) -> Range:
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=max(0.1, deadline.remaining()))
        except KafkaException as problem:
            raise self._failed(f"{place.topic}[{place.partition}]", problem.args[0]) from problem
        return int(low), int(high)

    def _made(self, client: Any, properties: Dict[str, Any]) -> Any:
        try:
            return client(with_tokens({**self._common, **properties, "error_cb": self._note}, self._tokens))
        except (KafkaException, ValueError, TypeError) as problem:
            text = problem.args[0].str() if isinstance(problem, KafkaException) else str(problem)
            raise PropertyError(
                f"The Kafka client refuses its properties: {identity.named(text, self._settings)}"
            ) from problem

    def _note(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which says less than what came before
            self._complaint = error.str()
        kind = meaning(error.name(), error.str())
        if kind in (Meaning.UNAUTHORISED, Meaning.FORBIDDEN):
            self._refused = error.str()
        elif kind is Meaning.ANONYMOUS:
            self._anonymous = error.str()

    def _failed(self, what: str, error: KafkaError) -> BrokerError:
        if meaning(error.name()) is Meaning.AWAY:
            return self._silence(what, error.str())
        return BrokerError(f"{what}: {error.str()}")

    def _silence(self, what: str, text: str) -> BrokerError:
        """Nobody has answered what was asked about this: one of several, or all?"""
        try:
            self._asked_for_topics(FIRST_SECONDS)
        except KafkaException:
            return NoBrokerError(self._complaint or text)
        return OneAwayError(f"the broker that has {what} does not answer ({text})")


def _tokens(settings: Settings) -> Optional[Tokens]:
    """By which we sign in; what its module prints is no answer of ours. Raises PropertyError."""
    if settings.oauth:
        start.users_first()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return of_settings(settings)
    except NoFunctionError as problem:
        raise PropertyError(str(problem)) from problem


def partitions_of(metadata: Any) -> Dict[str, List[int]]:
    """The topics that are there, with the numbers of their partitions."""
    return {name: sorted(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}
