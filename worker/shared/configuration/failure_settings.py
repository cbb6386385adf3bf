"""What the settings about failing messages mean together. Pure."""

from __future__ import annotations

from typing import Any, List, Mapping

from kafka_worker.shared.routes import LONGEST_TOPIC, RETRY_MARK, parsed
from kafka_worker.shared.setting import written

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def retry_topic(topic: str, delay: str) -> str:
    """The retry topic of a topic, for a delay as written in RETRY_TOPICS."""
    return topic + RETRY_MARK + delay


def seconds_of(delay: str) -> int:
    """The seconds of a delay like 30s, 10m or 2h."""
    return int(delay[:-1]) * _SECONDS[delay[-1]]


def between(values: Mapping[str, Any]) -> List[str]:
    """What is wrong between settings that are right each on its own, and that a topic may have of its own."""
    found = []
    if values["retry_backoff_max_seconds"] < values["retry_backoff_seconds"]:
        found.append(
            f"RETRY_BACKOFF_MAX_SECONDS = {written(values['retry_backoff_max_seconds'])} must not be below "
            f"RETRY_BACKOFF_SECONDS = {written(values['retry_backoff_seconds'])}. Raise the first."
        )
    soft, hard = values["handler_timeout_seconds"], values["handler_kill_seconds"]
    if soft and hard and hard <= soft:
        found.append(
            f"HANDLER_KILL_SECONDS = {written(hard)} must be above HANDLER_TIMEOUT_SECONDS = {written(soft)}: a call is told "
            "first. Raise the first, or set one of them to 0."
        )
    if values["message_schema"] and values["decoder"] != "json":
        found.append(f"MESSAGE_SCHEMA is for messages of JSON, and DECODER = {values['decoder']}. Remove one of the two.")
    both = [name for name in values["retryable_errors"] if name in values["fatal_errors"]]
    if both:
        found.append(f"RETRYABLE_ERRORS and FATAL_ERRORS must not both name {', '.join(both)}. Keep each in one of them.")
    return found


def contradictions(values: Mapping[str, Any]) -> List[str]:
    """The names of retry topics that are too long, or those of others."""
    topics = [route.topic for route in parsed(values["handlers"])] or values["topics"]
    retries = [(topic, delay, retry_topic(topic, delay)) for topic in topics for delay in values["retry_topics"]]
    found = [
        f"The topic {topic} and RETRY_TOPICS = {delay} make a topic name "
        f"longer than {LONGEST_TOPIC} characters. Do without retry topics, or rename the topic."
        for topic, delay, name in retries
        if len(name) > LONGEST_TOPIC
    ]
    found += [
        f"{name} is the retry topic of {topic} (RETRY_TOPICS = {delay}), which is consumed with it. Take it out of the topics."
        for topic, delay, name in retries
        if name in topics
    ]
    return found + [
        f"DEAD_LETTER_SUFFIX = {values['dead_letter_suffix']} sends dead letters of {topic} to its retry topic {name}, and "
        "they would come again, for ever. Choose another suffix."
        for topic, _, name in retries
        if name == topic + values["dead_letter_suffix"]
    ]


def warnings(values: Mapping[str, Any]) -> List[str]:
    """What is allowed, and perhaps not meant."""
    found = []
    if values["retry_topics"] and values["ordering"] != "none":
        found.append(
            f"RETRY_TOPICS: a message that waits in a retry topic is overtaken by its followers, "
            f"so ORDERING = {values['ordering']} holds among the others only"
        )
    if values["deliver_at_max_seconds"] and not values["retry_topics"]:
        results = ", and results of all behind it (DELIVERY = exactly-once)" if values["delivery"] == "exactly-once" else ""
        found.append(
            "DELIVER_AT_MAX_SECONDS without RETRY_TOPICS: what waits for its time holds its partition's commits, and its "
            f"followers (ORDERING = {values['ordering']}){results}, and counts for MAX_IN_FLIGHT"
        )
    longest = values["retry_backoff_max_seconds"]
    unused = [delay for delay in values["retry_topics"] if seconds_of(delay) > max(longest, values["deliver_at_max_seconds"])]
    if unused:
        found.append(
            f"RETRY_TOPICS = {','.join(unused)}: no wait gets as long, as RETRY_BACKOFF_MAX_SECONDS = {written(longest)}; "
            "only waits that a handler asks for"
        )
    return found
