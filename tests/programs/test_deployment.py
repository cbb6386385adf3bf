"""What documents have a shell do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_alerts_are_in_the_frame_that_the_operator_wants() -> None:
    words = re.findall(
        r"```sh\n(.*alerts\.yml.*?)\| kubectl apply -f -", (ROOT / "docs" / "DEPLOYMENT.md").read_text(), re.DOTALL
    )
    framed = subprocess.run(["sh", "-euc", words[0]], cwd=ROOT, capture_output=True, check=True).stdout
    rules = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())

    found = yaml.safe_load(framed)
    assert (found["kind"], found["spec"]) == ("PrometheusRule", rules)
