"""`python supervisor.py dead-letters list|show|replay|drop`: what became of messages that could not be processed, and what is
to become of them. It works whether or not the service runs, and owns nothing but what stands in the topics.

Exit code: 0 done, 1 something could not be done (each with its reason), 2 no broker answers, 78 something is wrong with
what was asked or set.
"""

from __future__ import annotations

import heapq
import itertools
import json
from typing import List

from kafka_worker.ops.connection import NOT_ALL, exit_code_of
from kafka_worker.ops.dead_letters import text
from kafka_worker.ops.dead_letters.cluster import Cluster
from kafka_worker.ops.dead_letters.letter import Listed
from kafka_worker.ops.dead_letters.resolve import Resolver
from kafka_worker.ops.dead_letters.scope import Scope, scopes_of
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.output.streams import complain, tell
from kafka_worker.shared.settings import Settings

SHOWN = 50  # letters of a list without --limit


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    settings, wanted = configuration.settings, configuration.asked.letters or DeadLetterRequest("list")
    return exit_code_of(settings, Cluster, lambda cluster: _run(settings, wanted, cluster))


def _run(settings: Settings, wanted: DeadLetterRequest, cluster: Cluster) -> int:
    topics = cluster.topics()
    scopes = list(scopes_of(settings, wanted, cluster, topics))
    if wanted.places and len(scopes) > 1:
        complain("A place says too little when there are several topics: add --topic with the one that the message is from.")
        return ExitCode.CONFIGURATION
    missing = set(wanted.places).difference(*(scope.places() for scope in scopes))
    for partition, offset in sorted(missing):
        complain(f"{partition}:{offset}: there is no such letter")
    if wanted.action == "list":
        _list(scopes, wanted)
    elif wanted.action == "show":
        _show(scopes, wanted)
    elif Resolver(cluster, wanted, topics).run(scopes):
        return NOT_ALL
    return NOT_ALL if missing else ExitCode.OK


def _list(scopes: List[Scope], wanted: DeadLetterRequest) -> None:
    limit = SHOWN if wanted.limit is None else wanted.limit
    for scope in scopes:
        count = itertools.count()
        fitting = (
            (letter.failed_at, letter.place, letter.without_value(), resolution)
            for letter, resolution in scope.letters()
            if (resolution is not None) is wanted.resolved and next(count) >= 0
        )
        newest = heapq.nlargest(limit, fitting, key=lambda found: found[:2])[::-1]
        _print_list(scope, wanted, [(letter, resolution) for _, _, letter, resolution in newest], next(count))


def _print_list(scope: Scope, wanted: DeadLetterRequest, letters: List[Listed], count: int) -> None:
    if wanted.as_json:
        _print_objects(letters, whole=False)
        return
    what = "replayed or dropped" if wanted.resolved else "open"
    such = " that fit" if wanted.filtered else ""
    more = f", the newest {len(letters)} (--limit shows more)" if count > len(letters) else ""
    tell(f"{scope.name}: {counted(count, 'letter') if count else 'no letters'} {what}{such}{more}")
    if letters:
        tell(*text.listed(letters))


def _print_objects(letters: List[Listed], *, whole: bool) -> None:
    for letter, resolution in letters:
        tell(json.dumps(text.as_object(letter, resolution, whole=whole)))


def _show(scopes: List[Scope], wanted: DeadLetterRequest) -> None:
    for scope in scopes:
        for letter, resolution in scope.letters():
            if wanted.as_json:
                _print_objects([(letter, resolution)], whole=True)
            else:
                tell(*text.shown(letter, resolution, full=wanted.full))
