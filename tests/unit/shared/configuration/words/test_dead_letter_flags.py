"""The words of `dead-letters`, and what is said about wrong ones."""

from __future__ import annotations

from typing import Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.shared.configuration import command_line
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.configuration.words.dead_letter_flags import FLAGS, DeadLetterRequest, moment, read
from kafka_worker.shared.configuration.words.flags import Flag

NOW = 1_000_000.0


def words_of(*argv: str) -> DeadLetterRequest:
    words = command_line.parse(["dead-letters", *argv])
    assert words.faults == []
    assert words.letters is not None
    return words.letters


def faults_of(*argv: str) -> List[str]:
    return command_line.parse(list(argv)).faults


def test_every_word_arrives() -> None:
    wanted = words_of(
        "replay", "--error", "Timeout", "--key", "k", "--partition", "3", "--offset", "9", "--limit", "5", "--again"
    )

    assert wanted == DeadLetterRequest("replay", error="Timeout", key="k", partition=3, offset=9, limit=5, again=True)
    assert words_of("show", "0:12", "3:4", "--full", "--json").places == ((0, 12), (3, 4))
    assert words_of("drop", "--purge").purge
    assert words_of("list") == DeadLetterRequest("list")


def test_settings_may_stand_among_them() -> None:
    words = command_line.parse(["--group", "g", "dead-letters", "list", "--topic", "orders", "--since", "2h"])

    assert words.faults == []
    assert {name: given.value for name, given in words.given.items()} == {"group_id": "g", "topics": "orders"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", NOW - 90),
        ("2h", NOW - 7200),
        ("3d", NOW - 3 * 86400),
        ("1970-01-02", 86400),
        ("1970-01-01T01:00", 3600),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_a_time_is_given_as_ago_or_in_iso_8601_and_utc(text: str, seconds: float) -> None:
    wanted, faults = read({"flag_since": text}, ["list"], NOW, as_json=False)

    assert faults == []
    assert wanted is not None
    assert wanted.since == seconds


@given(st.text(max_size=30))
def test_no_time_however_odd_is_more_than_not_understood(text: str) -> None:
    assert moment(text) is None or isinstance(moment(text), float)


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["dead-letters"], "dead-letters does nothing alone. Write dead-letters list, show, replay or drop. See --help."),
        (["dead-letters", "lst"], "lst (the command line) is nothing that can be done with dead letters"),
        (["dead-letters", "replay"], "replay needs to know which letters: PARTITION:OFFSET…, a filter"),
        (["dead-letters", "replay", "--again"], "or --all for every one"),
        (["dead-letters", "replay", "--all", "--key", "k"], "takes places, filters or --all, not several of them"),
        (["dead-letters", "drop", "0:1", "--all"], "takes places, filters or --all, not several of them"),
        (["dead-letters", "show"], "show needs the places of letters"),
        (["dead-letters", "show", "7"], "7 (the command line) is no place of a letter. Wanted: PARTITION:OFFSET"),
        (["dead-letters", "list", "--purge"], "--purge (the command line) goes with dead-letters drop only"),
        (["dead-letters", "list", "--since", "soon"], "--since = 'soon' (the command line): wanted: how long ago, like 90s"),
        (["dead-letters", "list", "--limit", "-1"], "--limit = '-1' (the command line): wanted: a whole number"),
        (["dead-letters", "list", "--limit", "many"], "--limit = 'many' (the command line): wanted: a whole number"),
        (["dead-letters", "list", "--eror", "x"], "--eror (the command line) is not an option. Did you mean --error?"),
        (["dead-letters", "list", "-n", "3"], "-n (the command line) goes with events only"),
        (["--key", "k"], "--key (the command line) goes with dead-letters only"),
        (["status", "--all"], "--all (the command line) goes with dead-letters, pause, resume only"),
        (["dead-letters", "replay", "--all", "--json"], "--json (the command line) goes with dead-letters list or show only"),
        (["dead-letters", "drop", "--purge", "--limit", "3"], "--purge alone drops nothing that --limit could limit"),
        (["dead-letters", "list", "--check-config"], "--check-config (the command line) goes with no command"),
        (["status", "--check-config"], "--check-config (the command line) goes with no command"),
    ],
)
def test_wrong_words_are_named_with_what_is_wanted(argv: List[str], fault: str) -> None:
    assert fault in "\n".join(faults_of(*argv))


def test_the_help_shows_the_command_and_its_words() -> None:
    shown = command_line.parser().format_help()

    assert "dead-letters replay|drop PARTITION:OFFSET" in shown
    assert "--dry-run" in shown


def test_with_several_handlers_a_topic_on_the_command_line_says_whose_dead_letters_are_meant() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "KAFKA_GROUP_ID": "g", "HANDLERS": "orders=a:f,^pay=a:g"}

    one = load(["dead-letters", "list", "--topic", "orders"], environment, "/nonexistent/.env")
    all_of_them = load(["dead-letters", "list"], environment, "/nonexistent/.env")

    assert one.settings.topics == ("orders",)
    assert all_of_them.settings.topics == ("orders", "^pay")


words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["list", "show", "replay", "drop", "3:17", "3:" + "9" * 18, "9" * 5000 + ":1", "\u0663:1", "1e9", "2h", "9" * 6 + "w"]
    ),
    st.datetimes().map(str),
)


@given(st.lists(words, max_size=4), st.dictionaries(st.sampled_from(FLAGS), words), st.booleans())
def test_any_words_are_understood_or_refused_in_words(said: List[str], flags: Dict[Flag, str], as_json: bool) -> None:
    wanted, found = read({flag.name: text if flag.value else True for flag, text in flags.items()}, said, NOW, as_json=as_json)

    assert wanted is not None or found
    assert all(fault.endswith((".", "?")) for fault in found)
    assert wanted is None or all(partition >= 0 and offset >= 0 for partition, offset in wanted.places)
