"""The HTTP part is killed twenty times under load, and nobody notices. Minutes, because it is started ever more seldom."""

from __future__ import annotations

import pytest

from tests.support.http_part import kill_again_and_again
from tests.support.scene import Scene

KILLS = 20


@pytest.mark.timeout(600)
def test_twenty_kills_of_the_http_part_cost_nothing(scene: Scene) -> None:
    kill_again_and_again(scene, scene.ready_service(env={"HTTP": "127.0.0.1:0"}), KILLS)
