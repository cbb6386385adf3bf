"""The house rules of docs/DESIGN.md that a machine can check; who may import whom is in `test_rooms`. A rule for a file
that does not exist yet holds."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Tuple

import pytest

from tests.support.own_sources import FILES, ROOT, Source, sources

PRODUCT = ("supervisor", "worker")
LONGEST_FILE, LONGEST_FUNCTION = 400, 50  # lines

# Which modules may import a package from outside.
HOMES: Dict[str, Tuple[str, ...]] = {
    "confluent_kafka": (
        "worker/kafka/consumer.py", "worker/kafka/topic_ids.py", "worker/kafka/__init__.py", "worker/check.py",
        "worker/kafka/brokers.py", "worker/kafka/incoming/", "worker/kafka/ends.py", "worker/kafka/groups/new_protocol.py",
        "worker/kafka/outgoing/",
        "worker/ops/first_run/embedded_broker.py", "worker/ops/dead_letters/cluster.py",
        "worker/ops/connection.py", "worker/ops/lag/group.py", "worker/ops/doctor/", "worker/testing/service.py",
        "worker/handler/formats/registry.py", "worker/handler/formats/registry_decoder.py",
    ),
    "opentelemetry": ("worker/tracing.py",),
    "pydantic": (),
    "pytest": ("worker/testing/fixtures.py",),
    "starlette": ("worker/ops/serve/guard.py", "worker/ops/serve/server.py", "worker/ops/serve/site.py"),
    "uvicorn": ("worker/ops/serve/server.py",),
    "dotenv": ("worker/shared/configuration/environment",),
}  # fmt: skip
# Where an attribute of a standard module may be used.
USERS: Dict[Tuple[str, str], Tuple[str, ...]] = {
    ("os", "environ"): (
        "worker/shared/configuration/load.py",
        "worker/start.py",
        "worker/testing/given.py",
        "worker/examples/",
    ),
    ("os", "environb"): (),
    ("os", "getenv"): ("worker/examples/",),
    ("logging", "getLogger"): ("worker/shared/logs.py", "worker/examples/"),
    ("signal", "signal"): ("worker/shared/system/signals.py",),
    ("signal", "set_wakeup_fd"): ("worker/shared/system/signals.py",),
}
SLEEP = ("time", "sleep")
# Simulated work, the poll of a condition, and the client's own wait.
MAY_SLEEP = ("tests/support/handlers.py", "tests/support/eventually.py", "tests/unit/fakes.py")
# Put together here, so that this file does not break its own rule.
STARTS = ("/root" + "/", "/work" + "/", "/tmp" + "/w")
MACHINE_PATH = re.compile("|".join([rf"(?<![\w.*]){STARTS[0]}", rf"(?<![\w.*]){STARTS[1]}", STARTS[2] + r"\b"]))


def of_product() -> Iterator[Source]:
    return (source for source in sources() if source.package in PRODUCT)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_in_its_home_only(library: str) -> None:
    homes = HOMES[library]

    users = [source.name for source in of_product() if library in source.text and library in source.imports]

    assert [name for name in users if not name.startswith(homes)] == []


@pytest.mark.parametrize(("module", "attribute"), USERS)
def test_environment_and_signal_handlers_have_one_owner(module: str, attribute: str) -> None:
    owners = USERS[module, attribute]

    users = [source.name for source in of_product() if source.uses(module, attribute)]

    assert [name for name in users if not name.startswith(owners)] == []


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    lengths = {source.name: source.text.count("\n") for source in sources()}

    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long_to_be_understood_at_once() -> None:
    assert [long for source in sources() for long in [source.longer(LONGEST_FUNCTION)] if long] == []


def test_imports_name_their_package_in_full() -> None:
    assert [source.name for source in sources() if re.search(r"^\s*from \.", source.text, re.MULTILINE)] == []


def test_tests_poll_conditions_and_never_sleep() -> None:
    sleepers = [source.name for source in sources() if source.package == "tests" and source.uses(*SLEEP)]

    assert [name for name in sleepers if name not in MAY_SLEEP] == []


def test_nothing_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = []
    for name in FILES:
        text = (ROOT / name).read_bytes().decode("utf-8", errors="replace")
        if any(start in text for start in STARTS):  # much sooner known
            found += [f"{name}: {match.group()}" for match in MACHINE_PATH.finditer(text)]

    assert found == []


def test_invariants_are_numbered_once_and_in_order_and_each_is_listed_by_subject() -> None:
    _, _, text = (ROOT / "docs" / "DESIGN.md").read_text("utf-8").partition("\n## Invariants\n")
    numbers = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    in_one_list = re.findall(r"^(\d+)\. ", text.partition("\n#")[0], re.MULTILINE)

    assert numbers == in_one_list == [str(number) for number in range(1, len(numbers) + 1)]
    by_subject = ", ".join(re.findall(r"^\| [^|]+ \| ([\d, ]+) \|$", text.partition("\n1. ")[0], re.MULTILINE)).split(", ")
    assert sorted(by_subject, key=int) == numbers
