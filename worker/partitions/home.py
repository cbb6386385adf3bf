"""Which topic of which cluster messages are from. Pure."""

from __future__ import annotations

from typing import NamedTuple

ID_LENGTH = 16


class Home(NamedTuple):
    """Which topic of which cluster messages are from: short forms of ids, empty where they are not known."""

    cluster: str
    topic: str

    def differs(self, other: Home) -> bool:
        """Whether these are two topics for sure."""
        return any(one and another and one != another for one, another in zip(self, other))

    def elsewhere(self, other: Home) -> bool:
        """Whether the other is in another cluster for sure."""
        return Home(self.cluster, "").differs(other)

    def completed(self, other: Home) -> Home:
        """This, and from the other what is not known here."""
        return Home(self.cluster or other.cluster, self.topic or other.topic)


UNKNOWN = Home("", "")
