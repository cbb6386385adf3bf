"""What is told of the membership and of partitions to whoever owns them, and what keeps client callbacks from raising."""

from __future__ import annotations

import functools
from typing import Any, Callable, List, Tuple

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition

log = logs.logger(__name__)


def harmless(callback: Callable[..., None]) -> Callable[..., None]:
    """Wraps a client callback so that it never raises; the fault ends the child in order instead."""

    @functools.wraps(callback)
    def guarded(self: Any, *arguments: Any) -> None:
        try:
            callback(self, *arguments)
        except Exception:
            log.exception("Fault in %s", callback.__name__, extra=about(Event.FAULT))
            self.ending = self.ending or ExitCode.FAULT

    return guarded


class RebalanceListener:
    """Whoever wants to know what happens to the membership. The callbacks run inside `fetch` or `leave`."""

    def on_assigned(self, names: List[TopicPartition]) -> None:
        """These partitions are ours from now on."""

    def on_revoked(self, names: List[TopicPartition]) -> None:
        """These go away when this returns; until then their offsets may be committed."""

    def on_lost(self, names: List[TopicPartition]) -> None:
        """These are gone already: committing them would be wrong."""

    def on_end(self, name: TopicPartition, offset: int) -> None:
        """Everything of this partition up to `offset` was delivered, and there is no more for now."""

    def on_unreadable(self, name: TopicPartition, offset: int, error: str, said: str) -> None:
        """This partition can't be read from this offset on; `error` is the name of the client's error, `said` its text. What
        comes after it may be past something that was never delivered."""

    def on_gone(self, name: TopicPartition, offset: int) -> None:
        """What should be read from this offset on is not there any more. The client goes on elsewhere, and has not said where
        yet."""

    def on_topic(self, topic: str, topic_id: str) -> None:
        """The topic has this id; told before anything of it is delivered."""

    def on_made_anew(self, topic: str, topic_id: str) -> None:
        """From now on the topic is another one, with this id: the client goes on where it was, unless it is told to seek."""

    def on_outlived(self, name: TopicPartition) -> None:
        """The client takes the leader of this partition, whose topic was made anew under it, for a former one."""

    def on_metadata_refused(self) -> None:
        """The broker takes no metadata as long as ours."""

    def on_committed(self, stored: List[Tuple[str, int, int]]) -> None:
        """The answer to one commit: the broker has stored these (topic, partition, offset); maybe none."""
