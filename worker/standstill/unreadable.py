"""What is told of a partition that can't be read any further: the place, the client's word, and what to do. Pure."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from kafka_worker.shared.settings import Settings

_NO_RIGHT = "TOPIC_AUTHORIZATION_FAILED"
_NO_PLACE = "_AUTO_OFFSET_RESET"
DEADLY = "deadly"  # in place of an error: whoever fetches it dies
_ROOM = "If it is larger than the client takes, raise KAFKA_CONSUMER_RECEIVE_MESSAGE_MAX_BYTES"
#: What may be done, beside stepping over it, by the name of the client's error.
_REMEDIES = {
    "_BAD_COMPRESSION": f"{_ROOM} (zstd is unpacked up to so many bytes, 100 MB by default); else it is damaged. ",
    "MSG_SIZE_TOO_LARGE": f"{_ROOM}. ",
    DEADLY: "As a rule it unpacks to more memory than there is: with more of that, stop the service, and remove suspects.json "
    "from STATE_DIRECTORY to try it again. ",
    "_NOT_IMPLEMENTED": "A newer client may know how it is packed; else it is damaged. ",
}


class Fault(NamedTuple):
    """Why a partition can't be read from an offset on."""

    topic: str
    number: int
    offset: int  # negative: not even that is known
    name: str  # of the client's error
    said: str  # by the client

    @property
    def may_pass(self) -> bool:
        """Whether it may be read some time, without anybody's doing here."""
        return self.name not in (_NO_PLACE, DEADLY) and self.offset >= 0

    def text(self, settings: Settings) -> str:
        """In words for status and log, with the remedy."""
        if self.name == _NO_PLACE:
            where = f"offset {self.offset} is not there" if self.offset >= 0 else "the group has no offset there"
            command = moved_to(settings, self.topic, self.number, "--to-earliest")
            why = f"{where}, and auto.offset.reset is error: {self.said}"
            return f"{why}. To begin elsewhere, stop the service, then: {command}"
        fault = f"offset {self.offset} can't be read: {self.said}. "
        if self.name == _NO_RIGHT:
            return f"{fault}Allow us to read the topic (ACL: READ)"
        command = moved_to(settings, self.topic, self.number, f"--to-offset {self.offset + 1}")
        remedy = _REMEDIES.get(self.name, "")
        return f"{fault}{remedy}To step over it (again, if it is one of a batch), stop the service, then: {command}"


def moved_to(settings: Settings, topic: str, number: int, whereto: str) -> str:
    """The command that moves the group's offset of a partition."""
    servers, group, place = map(shlex.quote, (settings.bootstrap_servers, settings.group_id, f"{topic}:{number}"))
    return (
        f"kafka-consumer-groups.sh --bootstrap-server {servers} --group {group} --topic {place} "
        f"--reset-offsets {whereto} --execute"
    )
