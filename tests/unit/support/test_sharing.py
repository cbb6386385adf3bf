"""How several pytests share the work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import List

from tests.support.sharing import Scheduler

TESTS = [f"tests/processes/test_systemd{part}.py::test_{number}" for part in ("", "_stop") for number in range(3)]
TESTS += [f"tests/processes/test_stop.py::test_{number}" for number in range(6)]


class Node:
    """In the place of one of the pytests."""

    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def __init__(self) -> None:
        self.given: List[int] = []

    def send_runtest_some(self, indices: List[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_what_shares_a_thing_that_takes_long_to_make_goes_to_one_pytest_and_the_rest_where_there_is_room() -> None:
    nodes = [Node(), Node()]
    config = SimpleNamespace(getvalue=lambda _name: ["popen", "popen"], option=SimpleNamespace(loadscopereorder=True))
    scheduler = Scheduler(config, None)
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, TESTS)

    scheduler.schedule()

    assert set(nodes[0].given) >= set(range(6)), "one systemd"
    assert not set(nodes[1].given) & set(range(6))
    assert nodes[1].given
