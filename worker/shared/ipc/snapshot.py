"""The one structure that answers "what is it doing, and why": what each child reports in its heartbeat, and what the
supervisor adds. It is served on the control socket; everything an operator sees is made from it.

Times are seconds; ages are used instead of points in time, so that no reader needs our clock. -1 means "not known (yet)".
"""

# Annotations are no texts here: a NamedTuple would compile each, a third of what it takes to import this.
import collections.abc
import functools
from enum import Enum
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

VERSION = 2  # of the structure; raised when a field changes its meaning or goes away

#: Upper bounds of the buckets in which times are counted, those of calls and those that messages wait for their first one, in
#: seconds; one more bucket takes what is longer.
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
BUCKETS = (*map(str, BOUNDS), "+Inf")  # what the buckets are called

TopicPartition = Tuple[str, int]  # topic and number of a partition
SIMPLE = frozenset({str, int, float, bool, type(None)})

Report = TypeVar("Report")
Reader = Callable[[Any], Any]


class Stage(str, Enum):
    """How far a child has come. It only ever moves forward."""

    STARTING = "starting"  # importing the handler, and starting its hooks
    WAITING = "waiting"  # ready, until the slot's former child has closed
    CONSUMING = "consuming"  # member of the group, or on the way into it
    DRAINING = "draining"  # starts nothing new, finishes what runs
    CLOSING = "closing"  # leaves the group and closes the client
    CLOSED = "closed"  # about to exit


class Replaced(str, Enum):
    """Why a slot's process was replaced by another. Words that do not change."""

    CRASH = "crash"  # it ended by a signal, or a fault of ours or the handler's
    OOM = "oom"  # the kernel's out-of-memory killer ended it
    HUNG = "hung"  # it did not answer or turn any more, or a call in it did not end
    FENCED = "fenced"  # another member had its id
    UNAUTHORISED = "unauthorised"  # the broker refused credentials or rights
    STOPPED = "stopped"  # somebody else asked it to go
    RECYCLED = "recycled"  # it had grown too large, done enough, or was old enough
    ROLLED = "rolled"  # in a rolling restart


class Waits(str, Enum):
    """What a message that is not done waits for. Words that do not change: status, explain, metrics and whatever page go by
    them."""

    RUNNING = "running"  # its handler runs
    QUEUED = "queued"  # for a thread that is free, or for the rate limit
    BEHIND_ITS_KEY = "behind-its-key"  # for those before it in its lane
    RETRY = "retry"  # for its next attempt
    SCHEDULED = "scheduled"  # for the time that its header deliver-at says
    BREAKER = "breaker"  # for a circuit breaker to close: that of its handler, of what that needs, or of dead letters
    SENDING = "sending"  # for the broker's word on what was sent of it: a dead letter, a retry, results
    UNSTORED = "unstored"  # the same, and the broker has refused it at least once
    SUSPECT = "suspect"  # for its turn to run apart, since it ran when a process died
    LEAVING = "leaving"  # for whoever gets its partition next: here it is not started any more
    OPERATOR = "operator"  # for the end of a pause that an operator has ordered
    HELD = "held"  # for what its partition is held for
    PAUSED = "paused"  # for room, of which its partition or process has none: it is not taken, or not even fetched
    UNDELIVERED = "undelivered"  # for the broker
    UNSEEN = "unseen"  # on its way from one of these to the next


class HeadReport(NamedTuple):
    """The first message of a partition that is not done: what its commit waits for."""

    offset: int
    waits: Waits
    seconds: float  # since when it is the first, and due, as of each look at it: here, not at a process before
    key: Optional[str] = None
    timestamp: float = -1.0  # its own, in seconds since 1970
    attempt: int = 0  # which runs, or is next; 0: not known
    running: float = -1.0  # for how long
    thread: str = ""  # in which it runs
    due_in: float = -1.0  # seconds until its next attempt
    why: str = ""  # in words, where there is more to say
    followers: int = 0  # messages in flight that wait for it, to keep the order of their key or partition
    due_at: float = -1.0  # when it should run at the earliest: its timestamp; in a retry topic, when its wait is over


class PartitionReport(NamedTuple):
    """One assigned partition."""

    topic: str
    partition: int
    committed: int  # last offset acknowledged by the broker in this assignment
    watermark: int  # below it everything is done
    end: int  # the partition's end, as of the last fetch
    lag: int  # end - committed; before our first commit: end - watermark
    in_flight: int
    paused: bool  # for back-pressure: there is more of it than room; or because it is held
    held: str  # why nothing more of it is fetched or started, whatever room there is; empty: nothing is wrong
    stalled: str = ""  # how it stands still, with nothing that explains it; empty: it does not
    done_beyond: int = 0  # offsets behind the watermark that are done, or that nobody will deliver: they do not run again
    queued: int = 0  # messages in flight that wait for a thread
    running: int = 0  # messages in flight whose calls run
    lag_seconds: float = -1.0  # since when the first message that is not done should be: its `due_at`; 0: all is, or not due
    head: Optional[HeadReport] = None  # None: all is done, or it is not known whether
    pause: str = ""  # why and by whom an operator has paused it; empty: it is not

    @property
    def name(self) -> TopicPartition:
        """By which others know it, too."""
        return self.topic, self.partition


class TaskReport(NamedTuple):
    """One task that runs now."""

    topic: str
    partition: int
    offset: int
    key: Optional[str]
    attempt: int
    thread: str
    seconds: float  # for how long
    void: str = ""  # why nothing that comes of its call counts any more; empty: it does


class BreakerReport(NamedTuple):
    """One circuit breaker."""

    name: str  # of a handler, of a dependency that handlers name, or "dead letters"
    state: str  # closed, open, half-open
    failed_share: float  # of the calls in its window; while it is not closed: in the one that opened it
    calls: int
    opened_times: int
    seconds_in_state: float
    probe_in: float  # seconds until it is tried whether calls succeed again; -1: it is not open
    last_error: str = ""  # the class of the one by which it opened; empty: it is closed
    seconds_unwell: float = 0.0  # since it was closed: open and half-open take turns in an outage


class WorkCount(NamedTuple):
    """How much was done of one kind of work, or is waiting."""

    what: str  # tasks, attempts_failed, …: see metric_tables.WORK; of what has times (handler, start_delay): _calls, _seconds
    topic: str  # of the messages; empty: of all
    kind: str  # the outcome, the class of the error, the reason, the result; one of BUCKETS; empty: there is one only
    count: float  # type: ignore[assignment]  # readers of the JSON know it by this name; nobody counts in the tuple


class ParkedReport(NamedTuple):
    """A message that an operator has ordered to be parked, when there is no way back."""

    topic: str
    partition: int
    offset: int
    outcome: str  # sent: its letter is on its way; parked: that is stored; done: it had another outcome before


class OrderReport(NamedTuple):
    """What an operator has ordered, and what is in force: a pause, or, of a single message, that it is to be parked."""

    topic: str  # empty: everything
    partition: Optional[int]
    offset: Optional[int]
    reason: str
    by: str  # user@host
    seconds: float  # since when
    left: float  # until it ends by itself; -1: it does not
    sent: bool = False  # of a message: its letter is on its way, and this can't be taken back any more


class LossReport(NamedTuple):
    """Messages of a partition that were gone before they were done."""

    topic: str
    partition: int
    first: int  # offset
    last: int  # offset
    count: int  # type: ignore[assignment]  # at most: offsets have holes; what lies between several losses is not in it
    seconds: float  # since it was found


class ChildReport(NamedTuple):
    """A heartbeat."""

    pid: int
    stage: Stage
    joined: bool  # the group has given us an assignment, even an empty one
    broker_away: bool
    poll_age: float  # seconds since the consumer thread's loop last turned
    commit_age: float  # seconds since the broker last acknowledged a commit
    done: int
    rate: float  # tasks done a second, of late
    failed: int  # attempts that raised, and not because their partition went away
    retrying: int  # tasks waiting for their next attempt
    dead_letters: int
    dead_letters_waiting: int  # could not be stored yet
    dropped: int  # not started or not counted, because the partition went away
    suspects: int  # messages that ran when a process died: they wait to be run apart, or run
    in_flight: int
    tasks: Sequence[TaskReport] = ()  # that run now, the longest first
    partitions: Sequence[PartitionReport] = ()
    breakers: Sequence[BreakerReport] = ()
    trouble: str = ""  # what keeps it from running tasks; empty: nothing
    seat_holder: str = ""  # who has the slot's seat, while it waits for that; empty: it does not, or that is not known
    missing_topics: Sequence[str] = ()  # of those that it has subscribed to
    threads: int = 0  # that may run tasks now
    rss: int = 0  # bytes of memory in RAM; 0: not looked at yet
    renew: str = ""  # why it wishes to be recycled; empty: it does not (the name stays, for those who read the JSON)
    unsettled: float = 0.0  # seconds since when a rebalance of the group goes on; 0: none does
    log_dropped: int = 0  # lines of its log, and of what handlers print, that are missing because nobody has read them
    log_untold: int = 0  # of these: that they are missing is not written yet, because still nobody reads
    hung: bool = False  # a call in it has run for longer than HANDLER_KILL_SECONDS, and it is replaced for that
    busy: float = 0.0  # calls that run at once, on average of late
    capacity: float = 0.0  # that could
    oversized: bool = False  # above its share of MEMORY_LIMIT since right after its start, so that recycling would not help
    work: Sequence[WorkCount] = ()  # since it began
    cpu_seconds: float = 0.0  # of all its threads, since it began
    open_files: int = 0  # descriptors; 0: not known
    rebalances: int = 0  # how often the group has told it what is its
    waiting: Sequence[WorkCount] = ()  # now, by topic: retries_waiting and dead_letters_unstored
    resting: int = 0  # threads that are there and may run no tasks now, with THREADS=auto
    librdkafka: str = ""  # version of the Kafka client that it uses
    parked: Sequence[ParkedReport] = ()  # by the orders that it knows of, and goes by
    orders_known: int = 0  # the number of the list of orders by which it goes
    lost: Sequence[LossReport] = ()  # of late, the last ones first


class SlotReport(NamedTuple):
    """A slot, as the supervisor sees it."""

    slot: int
    state: str  # of its child
    pid: int  # 0: no process now
    uptime: float
    heartbeat_age: float
    restarts: int
    last_exit: Optional[str]
    restart_in: float  # seconds until the next start; -1: none is due
    successor_pid: int  # of a rolling restart; 0: none
    child: Optional[ChildReport]  # its last one
    restart_reasons: Mapping[str, int] = {}  # how often its process was replaced for each, if it was
    failures: int = 0  # processes that have died one after the other, none of which was well for a minute
    recycled_for: str = ""  # why its process was recycled the last time; empty: none was
    last_why: str = ""  # words to add to last_exit: what that process was at, or why it gave up, as it has left it behind
    outgrown_within: float = -1.0  # seconds in which each of its processes outgrows its share of MEMORY_LIMIT; -1: they do not
    at: str = ""  # words to add to its state: what of the user's it is at, while it starts
    retiring: bool = False  # an operator wants one process less: it ends, and nobody comes after it


class Condition(NamedTuple):
    """Why the service is not well."""

    kind: str  # one of health.Kind: a short word that does not change
    slot: Optional[int]  # None: it is the supervisor's
    text: str


class HttpReport(NamedTuple):
    """The process that serves HTTP."""

    pid: int  # 0: none now
    address: str  # where it listens; empty: nowhere
    restarts: int


class Totals(NamedTuple):
    """The sums over all processes that are there; of work that was done, over all that ever were."""

    running: int = 0  # processes
    partitions: int = 0
    lag: int = 0  # messages, as far as it is known
    lag_unknown: int = 0  # partitions of which it is not
    lag_seconds: float = -1.0  # of the partition that is furthest behind
    in_flight: int = 0
    done: int = 0
    failed: int = 0  # attempts
    dead_letters: int = 0  # stored
    rate: float = 0.0  # tasks done a second, of late
    retrying: int = 0
    dead_letters_waiting: int = 0  # can't be stored
    suspects: int = 0


class Snapshot(NamedTuple):
    """The whole service on this host."""

    version: int
    state: str  # of the supervisor
    host: str
    pid: int
    uptime: float
    group: str
    topics: Sequence[str]
    handler: str
    ordering: str
    membership: str
    processes: int
    threads: int
    threads_max: int  # that THREADS=auto may grow to
    restarts: int
    problems: Sequence[str]  # why it is degraded; empty: healthy
    slots: Sequence[SlotReport]
    conditions: Sequence[Condition] = ()  # the problems, each with its kind
    log_dropped: int = 0  # lines of the supervisor's own log that are missing because nobody has read them
    http: Optional[HttpReport] = None  # None: it is not asked for
    utilization: float = -1.0  # share of the calls that could run at once that does, on average of late
    age: float = 0.0  # of the oldest heartbeat in it
    work: Sequence[WorkCount] = ()  # of all processes, those that have ended too
    topic_settings: Mapping[str, str] = {}  # by topic or pattern: what it has of its own
    release: str = ""  # of the service that runs
    python: str = ""  # that it runs with
    librdkafka: str = ""  # that its processes use; empty: not known yet
    totals: Totals = Totals()
    newest_event: int = 0  # the number of the last that has happened: see `events`
    orders: Sequence[OrderReport] = ()  # of operators, for this host
    most_per_second: float = 0.0  # MAX_MESSAGES_PER_SECOND, of all its processes; 0: any number
    most_of_a_process: float = 0.0  # its share in that, whatever the others need


def as_json(report: Any) -> Dict[str, Any]:
    """Any of the reports as plain data."""
    return {name: value if type(value) in SIMPLE else _plain(value) for name, value in zip(report._fields, report)}


def _plain(value: Any) -> Any:
    if hasattr(value, "_fields"):
        return as_json(value)
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def from_json(kind: Type[Report], data: Mapping[str, Any]) -> Report:
    """A report of this kind again, from plain data. Fields that are not known here are left out: they are younger than we."""
    names, readers = _readers(cast("Any", kind))
    known = {name: value for name, value in data.items() if name in names}
    for name, read in readers.items():
        if known.get(name) is not None:
            known[name] = read(known[name])
    return kind(**known)


@functools.lru_cache(maxsize=None)
def _readers(kind: Any) -> Tuple[FrozenSet[str], Dict[str, Reader]]:
    """The names of its fields, and how those are read that are more than plain data. Once: a heartbeat has hundreds."""
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    return frozenset(readers), {name: read for name, read in readers.items() if read is not None}


def _reader(hint: Any) -> Optional[Reader]:
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is collections.abc.Sequence:
        read = _reader(parts[0])
        return tuple if read is None else lambda values: tuple(map(read, values))
    kind = parts[0] if parts else hint
    if issubclass(kind, tuple):
        return functools.partial(from_json, kind)
    return kind if issubclass(kind, Enum) else None
