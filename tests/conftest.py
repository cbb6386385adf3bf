"""Fixtures of all tests. What a test starts is ended by its fixture; what is left is a failure."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator, List, Set, Union

import pytest

from kafka_worker import start
from kafka_worker.isolation.spawn import STARTER
from kafka_worker.pools import stacks
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import surroundings
from tests.support import sharing
from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.kafka import Cluster, GivenCluster
from tests.support.ledger import Ledger
from tests.support.processes import marked_processes
from tests.support.scene import PARTITIONS, Scene
from tests.support.service import Service

FOLDERS = Path(__file__).parent
BROKER = pytest.StashKey[Cluster]()
THREAD_SECONDS = 5.0
WITHOUT_KAFKA = {"unit", "programs"}
# Taken out: to the service it would look like a misspelt setting, and be refused.
GIVEN = os.environ.pop("TEST_KAFKA_BOOTSTRAP_SERVERS", "")


def folder_of(path: Path) -> str:
    """That of `tests` in which a test is."""
    return path.parts[len(FOLDERS.parts)]


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Tests are marked after the folder they are in."""
    for item in items:
        if folder_of(item.path) in ("broker", "processes", "soak"):
            item.add_marker(folder_of(item.path))
    items.sort(key=lambda item: sharing.rank(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is made meanwhile stays: whoever looked for garbage among it would find none, and take a tenth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """All that is loaded by now stays to the end, and is not looked through for garbage again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """None: xdist's own."""
    return sharing.Scheduler(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Several pytests share one broker. It is started with the first of them, and ends with the run."""
    if GIVEN or all(WITHOUT_KAFKA.intersection(Path(each).parts) for each in node.config.args):
        return
    shared = node.config.stash.get(BROKER, None)
    if shared is None:
        shared = node.config.stash[BROKER] = Cluster().start()
        node.config.add_cleanup(shared.close)
    node.workerinput["broker"] = shared.bootstrap, str(shared.folder)


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[Union[Cluster, GivenCluster]]:
    """The broker that tests share. They may do nothing to it that another could notice."""
    shared = getattr(pytestconfig, "workerinput", {}).get("broker")
    if GIVEN:
        yield GivenCluster(GIVEN)
    elif shared:
        yield GivenCluster(shared[0], Path(shared[1]))
    else:
        with Cluster() as cluster:
            yield cluster


@pytest.fixture(scope="session")
def _lent() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def own_kafka(_lent: Cluster) -> Cluster:
    """A broker that nobody else uses meanwhile, to stop, kill and freeze. What the test before has done to it is mended."""
    _lent.mend()
    return _lent


@pytest.fixture(scope="session")
def admin(kafka: Union[Cluster, GivenCluster]) -> Admin:
    """Asks and tells the shared broker. One for all: each new producer takes half a second until it may send."""
    return Admin(kafka.bootstrap)


@pytest.fixture
def topic(admin: Admin) -> Iterator[Callable[..., str]]:
    """Makes topics of fresh names: `topic(partitions=8)`. They go afterwards, and their dead letters too."""
    made: List[str] = []

    def make(partitions: int = 8, **config: str) -> str:
        made.append(admin.create_topic(partitions=partitions, config=config))
        return made[-1]

    yield make
    if made:
        admin.delete_topics([name for name in admin.topics() if name.startswith(tuple(made))])


@pytest.fixture
def group() -> str:
    """A group id that nobody used."""
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def service(kafka: Union[Cluster, GivenCluster]) -> Iterator[Callable[..., Service]]:
    """Makes services, still to be started, on the shared broker or another: `service(topic, group, …)`."""
    with contextlib.ExitStack() as stack:

        def make(topic: str, group: str, bootstrap: str = kafka.bootstrap, **options: Any) -> Service:
            made = Service(bootstrap, topic, group, **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def scene(admin: Admin, topic: Callable[..., str], group: str, tmp_path: Path, service: Callable[..., Service]) -> Scene:
    """One group on one fresh topic, for the services of a test."""
    return Scene(admin, topic(partitions=PARTITIONS), group, tmp_path, service)


@pytest.fixture
def own_scene(own_kafka: Cluster, group: str, tmp_path: Path, service: Callable[..., Service]) -> Scene:
    """The same on a broker of this test alone."""
    admin = Admin(own_kafka.bootstrap)
    return Scene(admin, admin.create_topic(), group, tmp_path, service)


@pytest.fixture
def engine(kafka: Union[Cluster, GivenCluster], tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Makes members of a group in this process, still to be started: `engine(topic, group, **settings)`."""
    ledger = Ledger(str(tmp_path / "ledger"))
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEDGER", ledger.path)
        patch.setattr(surroundings, "_FILES", os.devnull)  # members come and go beside the one that imports its handler
        patch.setitem(start.ENVIRONMENT, "LEDGER", ledger.path)  # of task processes

        def make(topic: str, group: str, name: str = "engine-0", **changes: Any) -> Engine:
            settings = Settings(
                **{
                    "bootstrap_servers": kafka.bootstrap, "group_id": group, "topics": (topic,),
                    "processes": 1, "threads": 4, "threads_max": changes.get("threads", 4),
                    "restart_limit": 10, "handler": "tests.support.handlers:work",
                    "runtime_directory": str(tmp_path), "state_directory": str(tmp_path),
                    "commit_interval_seconds": 0.1, **changes,
                }
            )  # fmt: skip
            made = Engine(settings, name, ledger)
            stack.callback(made.stop)
            return made

        yield make


def threads() -> Set[threading.Thread]:
    """All but the one that starts task processes, which lives as long as the process does."""
    alive = stacks.frames()  # of one that `threading` has not started it keeps a note after its end (before Python 3.13)
    found = (thread for thread in threading.enumerate() if thread.ident is None or thread.ident in alive)
    return {thread for thread in found if not thread.name.startswith(STARTER)}


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fails a test that leaves a thread, or a process of a service, behind. Set up first, so it looks last."""
    before = threads()
    yield
    eventually(lambda: threads() <= before, THREAD_SECONDS, "no thread is left behind")
    assert not marked_processes(), "processes of a service are left behind"
