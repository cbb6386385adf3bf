"""How records go out that must be stored: the librdkafka properties that service and commands share. Pure."""

from __future__ import annotations

from typing import Any, Dict

TOGETHER: Dict[str, Any] = {
    "message.max.bytes": 1000000000,  # a dead letter is as large as its message: the broker judges, not the client
    # A batch is refused as a whole when it is larger than the topic allows: with the client's 1 MB, small records would never
    # get into a topic of small messages. This is the default of the Java client; a larger record goes alone.
    "batch.size": 16384,
}
#: Each record in a batch of its own, and as small as can be: consumers are not told how a message came. (Of 3 MB of JSON 0.70
#: are left, by gzip 0.92, by lz4 1.4. Level 12 is not always smaller, and costs 25 ms for a record of any size.)
_ALONE: Dict[str, Any] = {
    **TOGETHER,
    "batch.num.messages": 1,
    "queue.buffering.max.kbytes": 2147483647,  # a queue that was made small would never have room for a large one
    "compression.type": "zstd",
    "compression.level": -1,  # its usual one, and not what was meant for another kind
}


def alone(properties: Dict[str, Any]) -> Dict[str, Any]:
    """The properties of a producer of which a record was refused, for another that tries it once more. What is ours comes
    last, because properties have second names, and the client believes the last."""
    return {**{name: value for name, value in properties.items() if name not in _ALONE}, **_ALONE}
