"""What rules about our own files look at."""

from __future__ import annotations

import ast
from typing import Iterator, List


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Those of a module, and of all that is in it. Nothing of what is within them, which is ten times as much."""
    waiting: List[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for block in ("body", "orelse", "finalbody", "handlers"):
            within = getattr(node, block, None)
            if isinstance(within, list):  # and no lambda, no condition
                yield from within
                waiting += within
