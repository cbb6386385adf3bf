"""Our own Python files, for the rules that a machine can check. Each is parsed once: that takes longer than all that the rules
ask of it."""

from __future__ import annotations

import ast
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Set, Tuple

ROOT = Path(__file__).resolve().parents[2]

#: A module, and what is taken of it.
Name = Tuple[str, str]


class Source(NamedTuple):
    """A Python file of ours."""

    name: str  # relative to the root
    text: str
    modules: FrozenSet[str]  # by `import`, as written; inside functions too, as below
    names: FrozenSet[Name]  # by `from … import …`
    functions: Dict[str, int]  # their lines

    @property
    def package(self) -> str:
        """The room it is in."""
        return self.name.split("/")[0].replace(".py", "")

    @property
    def imports(self) -> Set[str]:
        """The top level names of all modules."""
        return {module.split(".")[0] for module in (*self.modules, *(module for module, _ in self.names))}

    def uses(self, module: str, attribute: str) -> bool:
        """Whether it imports this of a module, or takes it by a dot."""
        return (module, attribute) in self.names or (
            f"{module}.{attribute}" in self.text and (module, attribute) in _attributes(self.text)
        )


def repository_files() -> Tuple[str, ...]:
    """What git has or would take; all that is not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return tuple(name for name in listed if (ROOT / name).is_file())


FILES = repository_files()  # here, because unit tests start no process


@lru_cache(maxsize=None)
def sources() -> List[Source]:
    """All of them."""
    return [_looked_through(name, (ROOT / name).read_text("utf-8")) for name in FILES if name.endswith(".py")]


def _looked_through(name: str, text: str) -> Source:
    modules: Set[str] = set()
    names: Set[Name] = set()
    functions: Dict[str, int] = {}
    tree = ast.parse(text)
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports name their package in full"
            names |= {(str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions[f"{name}:{node.lineno} {node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    return Source(name, text, frozenset(modules), frozenset(names), functions)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Those of a module, and of all that is in it. Nothing of what is within them, which is ten times as much."""
    waiting: List[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for block in ("body", "orelse", "finalbody", "handlers"):
            within = getattr(node, block, None)
            if isinstance(within, list):  # and no lambda, no condition
                yield from within
                waiting += within


@lru_cache(maxsize=None)
def _attributes(text: str) -> FrozenSet[Name]:
    """`name.attribute`, as written; and not in a comment or a text."""
    return frozenset(
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )
