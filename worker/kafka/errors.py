"""What a client error means for us. Pure: a table over the names of librdkafka's and Kafka's error codes.

Everything that is not in the table is librdkafka's to retry; we only say it in the log, seldom.
"""

from __future__ import annotations

from enum import Enum
from typing import Dict


class Meaning(Enum):
    """What the consumer thread does about an error."""

    ROUTINE = "part of every rebalance: what is dirty is committed again later"
    AWAY = "no broker answers: wait, it comes back"
    FENCED = "another member has our id: stop at once"
    UNAUTHORISED = "the broker refuses our credentials or rights"
    ABSENT = "the topic does not exist (yet)"
    TOO_LONG = "the broker takes less metadata than we sent"
    PASSING = "the client tries again by itself"


_MEANINGS: Dict[Meaning, str] = {
    Meaning.ROUTINE: "ILLEGAL_GENERATION REBALANCE_IN_PROGRESS UNKNOWN_MEMBER_ID _NO_OFFSET _ASSIGNMENT_LOST",
    Meaning.AWAY: "_ALL_BROKERS_DOWN _TRANSPORT _RESOLVE _TIMED_OUT",
    # A fenced static member gets one message with the code _FATAL, whose own `.fatal()` is False.
    Meaning.FENCED: "_FATAL FENCED_INSTANCE_ID _FENCED UNRELEASED_INSTANCE_ID",
    Meaning.UNAUTHORISED: "_AUTHENTICATION _SSL SASL_AUTHENTICATION_FAILED TOPIC_AUTHORIZATION_FAILED "
    "GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    Meaning.TOO_LONG: "OFFSET_METADATA_TOO_LARGE",
    Meaning.ABSENT: "UNKNOWN_TOPIC_OR_PART _UNKNOWN_TOPIC _UNKNOWN_PARTITION",
}
_BY_NAME = {name: meaning for meaning, names in _MEANINGS.items() for name in names.split()}


def meaning(name: str) -> Meaning:
    """The meaning of an error by the name of its code, as `KafkaError.name()` gives it."""
    return _BY_NAME.get(name, Meaning.PASSING)
