"""Who may import whom (docs/DESIGN.md, "The house"): rooms point one way, modules in no circle, and each file is in a room."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

import pytest

from tests.support.own_sources import FILES, ROOT, Source, sources

PACKAGE = "kafka_worker"
FULL = 12  # modules in one folder

# Room, or module of one process: the rooms right below it. Whatever is below those it may import too.
BELOW: Dict[str, Tuple[str, ...]] = {
    "shared": (),
    "partitions": ("shared",),
    "kafka": ("partitions",),
    "tracing": ("partitions",),
    "handler": ("tracing",),
    "pools": ("handler",),
    "isolation": ("pools",),
    "recovery": ("isolation",),
    "gates": ("isolation",),
    "outcomes": ("gates", "recovery", "kafka"),
    "upkeep": ("recovery",),
    "draining": ("outcomes",),
    "report": ("pools",),
    "parts": ("draining",),
    "standstill": ("parts",),
    "steering": ("parts",),
    "ownership": ("standstill", "steering"),
    "loop": ("ownership", "report"),
    "build": ("loop", "upkeep"),
    "inquiries": ("loop",),
    "heartbeat": ("loop", "upkeep"),
    "process": ("build", "inquiries", "heartbeat"),
    "check": ("handler", "kafka"),
    "supervision": ("shared",),
    "ops": ("supervision", "kafka"),
    "testing": ("build", "ops"),  # and nobody imports it
    "examples": (),
}
OTHERS = {"worker", "tests", "bench", "supervisor"}  # folders and files that are no part of the package
FOR_ALL = {"start", "__version__"}  # how a process begins, and what everybody may know
ENTRANCES = {"__main__": {"start"}, "start": {"shared"}, "__init__": {"handler", "shared"}}


#: Ours, by their names without `kafka_worker`.
MODULES = {
    name[len("worker/") : -len(".py")].replace("/", "."): Path(name) for name in FILES if re.match(r"worker/.*\.py$", name)
}


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def imported(source: Source) -> Iterator[str]:
    """What it imports of ours, inside functions and for types too: modules, where they are modules."""
    assert not any(module.split(".")[0] == PACKAGE for module in source.modules), f"{source.name}: from … import …"
    assert not source.imports & OTHERS, f"{source.name} imports {source.imports & OTHERS}"
    for module, name in source.names:
        if module.split(".")[0] == PACKAGE:
            within = module[len(PACKAGE) + 1 :]
            whole = f"{within}.{name}".lstrip(".")
            yield whole if whole in MODULES or not within else within


@lru_cache(maxsize=None)
def imports() -> Dict[str, Set[str]]:
    """Of each module what it imports."""
    found = {source.name: source for source in sources()}
    return {module: set(imported(found[str(path)])) for module, path in MODULES.items()}


def all_below(room: str) -> Set[str]:
    return {room}.union(*(all_below(below) for below in BELOW[room]))


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_those_below_them_only(room: str) -> None:
    allowed = all_below(room) | FOR_ALL

    wrong = {
        f"{module} imports {name}"
        for module, names in imports().items()
        if room_of(module) == room
        for name in names
        if room_of(name) not in allowed
    }

    assert wrong == set()


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_entrances_import_no_more_than_they_need(entrance: str) -> None:
    assert {room_of(name) for name in imports()[entrance]} == ENTRANCES[entrance]


def test_every_file_is_in_a_room() -> None:
    assert {room_of(module) for module in MODULES} - set(BELOW) == set(ENTRANCES)


def test_no_room_is_too_full_to_be_known_by_heart() -> None:
    files = Counter(str(path.parent) for path in MODULES.values() if path.name != "__init__.py")

    assert {room: count for room, count in files.items() if count > FULL} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert [module for module in MODULES if module in below(module)] == []


def below(module: str) -> Set[str]:
    """All that it imports, and what that imports."""
    seen: Set[str] = set()
    waiting = list(imports()[module])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += imports().get(name, ())
    return seen


def test_unit_tests_are_in_the_room_of_what_they_test() -> None:
    folder = ROOT / "tests" / "unit"

    rooms = {str(path.parent.relative_to(folder)) for path in folder.rglob("test_*.py")}

    assert {room for room in rooms if not (ROOT / "worker" / room).is_dir()} <= {"support", "bench"}


def test_the_wheel_has_all_rooms() -> None:
    listed = re.search(r"^packages = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    packages = {module.rpartition(".__init__")[0] for module in MODULES if module.endswith("__init__")}

    assert listed
    data = {"ops.serve.static"}  # a folder without modules: a package to setuptools, which would leave it out some day
    assert set(re.findall(r'"(.*?)"', listed[1])) == {f"{PACKAGE}.{name}".rstrip(".") for name in packages | data}


def test_the_house_in_the_design_names_every_file_and_no_other() -> None:
    house = (ROOT / "docs" / "DESIGN.md").read_text().partition("\n## The house\n")[2].partition("\n*Who may import whom*")[0]
    named = set(re.findall(r"\b(\w+)\.py\b", house)) - {"supervisor"}  # the one in the root, too
    files = {path.stem for path in MODULES.values()} - {"__init__", "__main__", "supervisor"}

    assert named - {"__init__"} == files
