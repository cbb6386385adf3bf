"""The test kit's own fixture, as those who use it have it."""

from kafka_worker.testing.fixtures import worker_for

__all__ = ["worker_for"]
