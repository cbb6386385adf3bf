"""What a client error means for us. Pure: a table over the names of librdkafka's and Kafka's error codes; two things stand in
their texts only.

Everything that is not in the table is librdkafka's to retry; we only say it in the log, seldom.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Dict, Optional


class Meaning(Enum):
    """What the consumer thread does about an error."""

    ROUTINE = "part of every rebalance: what is dirty is committed again later"
    UNSUPPORTED = "the brokers do not know what the settings ask of them: no restart would help"
    AWAY = "no broker answers: wait, it comes back"
    FENCED = "another member has our id: stop at once"
    UNAUTHORISED = "the broker refuses our credentials or rights"
    FORBIDDEN = "we have no right to a topic: what is known of it stays, and waits until we have"
    ANONYMOUS = "there is no token to sign in with: wait, who gives them comes back"
    ABSENT = "the topic does not exist (yet)"
    NO_ROOM = "the machine has no room for a thread of the client, which may not try again before it has joined"
    TOO_LONG = "the broker takes less metadata than we sent"
    PASSING = "the client tries again by itself"


_MEANINGS: Dict[Meaning, str] = {
    Meaning.ROUTINE: "ILLEGAL_GENERATION REBALANCE_IN_PROGRESS UNKNOWN_MEMBER_ID _NO_OFFSET _ASSIGNMENT_LOST "
    "STALE_MEMBER_EPOCH FENCED_MEMBER_EPOCH",
    Meaning.UNSUPPORTED: "UNSUPPORTED_VERSION _UNSUPPORTED_FEATURE UNSUPPORTED_ASSIGNOR INVALID_TRANSACTION_TIMEOUT",
    Meaning.AWAY: "_ALL_BROKERS_DOWN _TRANSPORT _RESOLVE _TIMED_OUT",
    # A fenced static member gets one message with the code _FATAL, whose own `.fatal()` is False.
    Meaning.FENCED: "_FATAL FENCED_INSTANCE_ID _FENCED UNRELEASED_INSTANCE_ID",
    Meaning.UNAUTHORISED: "_AUTHENTICATION _SSL SASL_AUTHENTICATION_FAILED GROUP_AUTHORIZATION_FAILED "
    "CLUSTER_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    Meaning.FORBIDDEN: "TOPIC_AUTHORIZATION_FAILED",
    Meaning.NO_ROOM: "_CRIT_SYS_RESOURCE",
    Meaning.TOO_LONG: "OFFSET_METADATA_TOO_LARGE",
    Meaning.ABSENT: "UNKNOWN_TOPIC_OR_PART _UNKNOWN_TOPIC _UNKNOWN_PARTITION",
}
_BY_NAME = {name: meaning for meaning, names in _MEANINGS.items() for name in names.split()}


# Since TLS 1.3 a client learns what a broker thinks of its certificate only when it counts as connected. Alerts 40 to 49 and
# 116 are about who we are, the others about the connection.
_ALERT = re.compile(r"SSL alert number (4\d|116)\b")
_ANONYMOUS = "Failed to acquire SASL OAUTHBEARER token"


def is_of_one_partition(topic: Optional[str], number: Optional[int]) -> bool:
    """What the client says of the group, or of itself, has no topic and yet a number, 0; of a whole topic, none."""
    return topic is not None and number is not None and number >= 0


def meaning(name: str, text: str = "") -> Meaning:
    """The meaning of an error by the name of its code and its text, as `KafkaError` gives them."""
    if name == "_AUTHENTICATION" and _ANONYMOUS in text:
        return Meaning.ANONYMOUS
    if name == "_TRANSPORT" and _ALERT.search(text):
        return Meaning.UNAUTHORISED
    return _BY_NAME.get(name, Meaning.PASSING)
