"""What every process of ours gets from the one that started it, over a descriptor of their own: secrets never stand on a
command line."""

from __future__ import annotations

import selectors
import sys

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import forks
from kafka_worker.shared.system.deadline import Deadline

SETTINGS_SECONDS = 10.0  # for the settings to arrive: they are sent at once, but to the first process (`prepared`)


def received_settings(channel: Channel) -> Settings:
    """Those in the first message."""
    return Settings.from_json(received(channel)["settings"])


def received(channel: Channel) -> Message:
    """The first message; what has come behind it stays. Without one nobody is there to work for: the process ends."""
    forks.leave(channel, Channel.close)
    deadline = Deadline(SETTINGS_SECONDS)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while not deadline.expired() and channel.readable:
            selector.select(deadline.remaining())
            for message in channel.receive(1):
                return message
    sys.exit(ExitCode.GAVE_UP)
