"""Our own Python files, for the rules that a machine can check. To parse one takes longer than all that the rules ask of it:
that is done once, and only where its text does not answer."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Set, Tuple

ROOT = Path(__file__).resolve().parents[2]

TEXTS = re.compile(r'""".*?"""', re.DOTALL)  # in which what looks like code is none
HEAD = re.compile(r"( *)(async def|def|class|@)")

#: A module, and what is taken of it.
Name = Tuple[str, str]


class Source(NamedTuple):
    """A Python file of ours."""

    name: str  # relative to the root
    text: str

    @property
    def package(self) -> str:
        """The room it is in."""
        return self.name.split("/")[0].replace(".py", "")

    @property
    def modules(self) -> FrozenSet[str]:
        """By `import`, as written; inside functions too, as below."""
        return _imports(self.text)[0]

    @property
    def names(self) -> FrozenSet[Name]:
        """By `from … import …`."""
        return _imports(self.text)[1]

    @property
    def imports(self) -> Set[str]:
        """The top level names of all modules."""
        return {module.split(".")[0] for module in (*self.modules, *(module for module, _ in self.names))}

    def uses(self, module: str, attribute: str) -> bool:
        """Whether it imports this of a module, or takes it by a dot."""
        return attribute in self.text and (
            (f"from {module} import" in self.text and (module, attribute) in self.names)
            or (f"{module}.{attribute}" in self.text and (module, attribute) in _attributes(self.text))
        )

    def longer(self, most: int) -> Dict[str, int]:
        """The lines of its functions that have more."""
        return _functions(self, most) if _may_be_longer(self.text, most) else {}


def repository_files() -> Tuple[str, ...]:
    """What git has or would take; all that is not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return tuple(name for name in listed if (ROOT / name).is_file())


FILES = repository_files()  # here, because unit tests start no process


@lru_cache(maxsize=None)
def sources() -> List[Source]:
    """All of them."""
    return [Source(name, (ROOT / name).read_text("utf-8")) for name in FILES if name.endswith(".py")]


@lru_cache(maxsize=None)
def _imports(text: str) -> Tuple[FrozenSet[str], FrozenSet[Name]]:
    modules: Set[str] = set()
    names: Set[Name] = set()
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {(str(node.module), alias.name) for alias in node.names}
    return frozenset(modules), frozenset(names)


def _functions(source: Source, most: int) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for node in _statements(ast.parse(source.text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[f"{source.name}:{node.lineno} {node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    return {name: length for name, length in found.items() if length > most}


def _may_be_longer(text: str, most: int) -> bool:
    """Whether a function may have more lines: so many are before the next head that is not within it."""
    code = TEXTS.sub(lambda found: "\n" * found.group().count("\n"), text)
    begun: List[Tuple[int, int]] = []  # indentation and line of those in which we are
    for number, line in enumerate([*code.split("\n"), "def"]):
        head = HEAD.match(line)
        if head:
            indentation = len(head.group(1))
            while begun and begun[-1][0] >= indentation:
                if number - begun.pop()[1] > most:
                    return True
            if head.group(2).endswith("def"):
                begun.append((indentation, number))
    return False


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
