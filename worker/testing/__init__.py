"""For tests of handlers, which import it:

    from kafka_worker.testing import TestWorker

    def test_an_order_is_confirmed():
        with TestWorker("app.tasks:handle") as worker:
            assert worker.run({"id": 1}).done

Nothing of the service itself does. docs/TESTING.md shows how it is used.
"""

from kafka_worker.testing.rest import NotAtRestError
from kafka_worker.testing.results import DeadLetter, Result, Sent
from kafka_worker.testing.service import TestService
from kafka_worker.testing.worker import TestWorker

__all__ = ["DeadLetter", "NotAtRestError", "Result", "Sent", "TestService", "TestWorker"]
