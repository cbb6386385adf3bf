"""A producer below the Python client, which refuses to send what others do send: header names that are not UTF-8."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka

PRODUCER, TOPIC, VALUE, KEY, MESSAGE_FLAGS, HEADER, END = 0, 1, 4, 5, 7, 9, 0  # of rdkafka.h
COPY = 2
FLUSH_MILLISECONDS = 30_000


def produce_raw(bootstrap: str, topic: str, key: bytes, value: bytes, header_name: bytes) -> None:
    """One message with one header of any name."""
    client = _library()
    producer = ctypes.c_void_p(client.rd_kafka_new(PRODUCER, _configuration(client, bootstrap), None, 0))
    number, size = ctypes.c_int, ctypes.c_size_t
    refused = client.rd_kafka_producev(
        producer, number(TOPIC), topic.encode(), number(VALUE), value, size(len(value)),
        number(KEY), key, size(len(key)), number(HEADER), header_name, b"value", ctypes.c_ssize_t(5),
        number(MESSAGE_FLAGS), number(COPY), number(END),
    )  # fmt: skip
    unsent = client.rd_kafka_flush(producer, FLUSH_MILLISECONDS)
    client.rd_kafka_destroy(producer)
    assert not refused, f"librdkafka refuses the message: error {refused}"
    assert not unsent, f"librdkafka could not send the message: error {unsent}"


def _configuration(client: Any, bootstrap: str) -> ctypes.c_void_p:
    configuration = ctypes.c_void_p(client.rd_kafka_conf_new())
    client.rd_kafka_conf_set(configuration, b"bootstrap.servers", bootstrap.encode(), None, ctypes.c_size_t(0))
    return configuration


def _library() -> Any:
    """The very one that the Python client uses."""
    packages = Path(confluent_kafka.__file__).parents[1]
    library = ctypes.CDLL(str(next(packages.glob("confluent_kafka.libs/librdkafka*"))))
    library.rd_kafka_new.restype = library.rd_kafka_conf_new.restype = ctypes.c_void_p
    return library
