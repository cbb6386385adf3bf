"""The JSON Schema that each message must fit, by jsonschema-rs: 0.4 us for a small message, where the reference
implementation (jsonschema) takes a hundred times as long. Drafts 4 to 2020-12; as the standard has it, `format` is checked up
to draft 7 only. What it takes is imported with the first schema: each process would pay 7 MB and 5 ms for it.

References lead to files only. Nothing is fetched from a network: whoever answers there would decide what is a dead letter.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from kafka_worker.handler.decoding import invalid
from kafka_worker.shared.system import files

#: Levels of nesting. The library recurses as deep as the message does, and the end of a stack is the end of a process; its
#: older releases refuse what is deeper than 255.
DEEPEST = 250
#: Bytes. In longer messages only the first violation is looked for: a list of all can be a thousand times the message.
COUNTED = 10_000


class SchemaError(Exception):
    """MESSAGE_SCHEMA names nothing that can be used; the text says what and why."""


class Schema:
    """A schema, ready to check messages. Threads may share it."""

    def __init__(self, path: str) -> None:
        """Reads and compiles the file. Raises SchemaError."""
        try:
            import jsonschema_rs
        except ImportError as problem:
            raise SchemaError(f"MESSAGE_SCHEMA needs the library jsonschema-rs, which is not here: {problem}") from problem
        from pathlib import Path

        self._violation = jsonschema_rs.ValidationError
        content = _content(path)
        try:
            # `mask` stands in the library's texts where the value would. Without a retriever of ours it would ask the network.
            self._validator = jsonschema_rs.validator_for(
                content, mask="value", base_uri=Path(path).absolute().as_uri(), retriever=_retrieved
            )
        except self._violation as problem:
            raise _refused(path, f"is not a usable JSON Schema: {invalid(problem.instance_path, problem.message)}") from None
        except Exception as problem:  # whatever else a library makes of a stranger's file
            raise _refused(path, f"is not a usable JSON Schema: {problem}") from problem

    def check(self, document: Any, value: bytes) -> None:
        """Raises InvalidMessageError when this document, decoded from this value, does not fit."""
        # Each level needs a bracket, and few messages have so many.
        if value.count(b"[") + value.count(b"{") > DEEPEST and _is_deeper(document, DEEPEST):
            raise invalid((), f"nested deeper than {DEEPEST} levels, the most that a schema is applied to")
        try:
            self._validator.validate(document)
        except self._violation as problem:
            raise invalid(problem.instance_path, problem.message, self._further(document, value)) from None
        except (ValueError, SystemError) as problem:  # older releases say by the second what newer ones say by the first
            raise invalid((), "half of a surrogate pair, or a number too large, where the schema reads it") from problem

    def _further(self, document: Any, value: bytes) -> int:
        """How many violations there are besides the first, as far as they can be counted."""
        if len(value) > COUNTED:
            return 0
        try:
            return sum(1 for _ in self._validator.iter_errors(document)) - 1
        except (ValueError, SystemError):  # what the first look did not come to can't be read
            return 0


#: Compiled once in a process, for all its handlers.
of_file = functools.lru_cache(maxsize=None)(Schema)


def _content(path: str) -> Any:
    try:
        return json.loads(files.content(path))
    except OSError as problem:
        raise _refused(path, f"can't be read: {problem.strerror or problem}") from problem
    except (ValueError, RecursionError) as problem:  # also UnicodeDecodeError
        raise _refused(path, f"is not JSON: {problem}") from problem


def _refused(path: str, reason: str) -> SchemaError:
    return SchemaError(f"MESSAGE_SCHEMA={path} {reason} (wanted: the path of a file with a JSON Schema, draft 4 to 2020-12)")


def _retrieved(uri: str) -> Any:
    """What a reference leads to, for the library, which makes its own error of ours."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ValueError("nothing is fetched from a network; keep a copy beside the schema and refer to that")
    return json.loads(files.content(unquote(parts.path)))


def _is_deeper(document: Any, levels: int) -> bool:
    """Whether the document is nested deeper than that. Level by level, because recursion is what is to be avoided."""
    level = [document]
    for _ in range(levels):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return any(isinstance(node, (dict, list)) for node in level)


def _children(node: Any) -> Any:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()
