"""How a batch handler is called: `process_messages(messages)` gets a list of decoded values, and the list of their contexts if
it takes a second parameter. When it returns, all are done; `raise BatchError({3: error})` says which are not, and what the
others send.

Any other exception says only that something in the list is wrong. Then each message is called alone, at once and without
counting an attempt: what fails alone is the culprit, its neighbours are done, and none of them becomes a dead letter for it.
Messages that have failed before are called alone from the start. Pure.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import Decoder, WithContext
from kafka_worker.partitions.task import Task, attempt_of, message_of, partition_of
from kafka_worker.shared.foreign.answers import BatchError
from kafka_worker.shared.foreign.errors import described
from kafka_worker.shared.system import forks

ItemFailures = Dict[int, BaseException]  # by index in the batch


class Alone(Tuple[Any, ...]):
    """A task that is to be called in a batch of its own, because its batch has failed. A task in all else."""

    __slots__ = ()


def alone(task: Task) -> bool:
    """Whether it must not be in a batch with others."""
    return attempt_of(task) > 1 or isinstance(task, Alone)


class BatchCall:
    """The user's function, ready to be called with tasks of one partition."""

    def __init__(self, function: Callable[..., Any], decoder: Decoder, *, takes_contexts: bool) -> None:
        """Keep what a call needs."""
        self._function = function
        self._in_context = isinstance(decoder, WithContext)
        self._decode = decoder
        self._takes_contexts = takes_contexts

    def __call__(self, tasks: Sequence[Task]) -> Tuple[Any, ItemFailures]:
        """What the function returned, and which tasks have failed; the others are done. Raises what the function raised,
        when that says nothing about single messages."""
        indexes, values, failures = self._decoded(tasks)
        if not values:
            return None, failures
        arguments: List[Any] = [values]
        if self._takes_contexts:
            arguments.append([_context(tasks[index]) for index in indexes])
        try:
            return self._function(*arguments), failures
        except BatchError as problem:
            _must_fit(problem, len(values))
            failures.update((indexes[index], failure) for index, failure in problem.failures.items())
            return problem.results or None, failures
        finally:
            if forks.copied:
                forks.end()

    def _decoded(self, tasks: Sequence[Task]) -> Tuple[List[int], List[Any], ItemFailures]:
        """(indexes, values) of the messages that can be read, and what is wrong with the others."""
        indexes: List[int] = []
        values: List[Any] = []
        failures: ItemFailures = {}
        decode, in_context = self._decode, self._in_context
        for index, task in enumerate(tasks):
            try:
                message = message_of(task)
                values.append(decode(message.value(), _context(task)) if in_context else decode(message.value()))
            except BaseException as problem:  # as everywhere: what the decoding of one message raises concerns that one only
                failures[index] = problem
            else:
                indexes.append(index)
        return indexes, values, failures


def _must_fit(problem: BatchError, count: int) -> None:
    """Raises what is wrong with what was said of a list of so many messages."""
    stranger = next((index for index in problem.failures if index not in range(count)), None)
    if stranger is not None:
        raise IndexError(f"the BatchError names index {stranger!r} of a list of {count}") from problem
    if problem.results and len(problem.failures) == count:
        first = next(iter(problem.failures.values()))
        what = "it was called alone" if count == 1 else "all have failed"
        raise ValueError(f"the BatchError has results, although {what}: {described(first)}") from first


def _context(task: Task) -> Context:
    return Context(message_of(task), partition_of(task), attempt_of(task))
