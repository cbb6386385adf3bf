"""What modules of the page say, run by node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.unit.ops.serve.test_page import SCRIPTS


def said(folder: Path, script: str) -> Any:
    """What the script has printed, which stands beside the page's modules; nothing else may be said."""
    (folder / "package.json").write_text('{"type": "module"}')
    for name, text in {**SCRIPTS, "test.js": script}.items():
        (folder / name).write_text(text)
    node = subprocess.run(["node", "test.js"], cwd=folder, capture_output=True, timeout=60, check=False)
    assert node.stderr.decode() == ""
    return json.loads(node.stdout)
