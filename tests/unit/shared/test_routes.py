"""HANDLERS: which topic goes to which handler, and what can't be meant."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from kafka_worker.shared.configuration.load import ConfigurationError, load
from kafka_worker.shared.routes import described, ignored, parsed, route_of, routes_of
from tests.unit.fakes import some_settings
from tests.unit.shared.configuration.test_load import NO_FILE, REQUIRED

ENTRIES = ("^orders=m:first", "^orders-eu=m:second", "orders-eu=m:exact", "bills=m:bills")


def faults(**environ: str) -> List[str]:
    with pytest.raises(ConfigurationError) as caught:
        load([], {**REQUIRED, **environ}, NO_FILE)
    return caught.value.faults


@pytest.mark.parametrize(
    ("topic", "handler"),
    [
        ("bills", "m:bills"),
        ("orders-eu", "m:exact"),  # exact before patterns
        ("orders-eu-2", "m:first"),  # the first pattern that matches
        ("my-orders", None),
        ("bills-2", None),
    ],
)
def test_a_topic_goes_to_its_own_entry_or_to_the_first_pattern_that_matches(topic: str, handler: Optional[str]) -> None:
    route = route_of(topic, parsed(ENTRIES))

    assert (route.handler if route else None) == handler


def test_without_handlers_every_topic_has_the_one_handler() -> None:
    settings = some_settings(topics=("a", "b"), handler="m:f")

    assert routes_of(settings) == (("a", "m:f"), ("b", "m:f"))
    assert described(settings) == "m:f"


def test_handlers_take_the_place_of_topic_and_handler() -> None:
    settings = load([], {**REQUIRED, "HANDLERS": ",".join(ENTRIES)}, NO_FILE).settings

    assert settings.topics == ("^orders", "^orders-eu", "orders-eu", "bills")
    assert settings.handler == ""
    assert described(settings) == "^orders=m:first, ^orders-eu=m:second, orders-eu=m:exact, bills=m:bills"


def test_dead_letters_and_retries_are_ignored_beside_a_pattern_only() -> None:
    assert ignored(some_settings(topics=("a", "^b"))) == "^.*[.]dlq$,^.*[.]retry[.]"
    assert ignored(some_settings(topics=("a", "b.dlq"))) == ""


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"HANDLERS": "a=m:f", "KAFKA_TOPIC": "b"},
            "HANDLERS and KAFKA_TOPIC are both given, but the first stands in place of the second. Remove one.",
        ),
        (
            {"HANDLERS": "a=m:f", "HANDLER": "m:f"},
            "HANDLERS and HANDLER are both given, but the first stands in place of the second. Remove one.",
        ),
        ({"HANDLERS": "a=m:f,b=m:f,a=m:g"}, "HANDLERS names a twice. Remove one of the two."),
        ({"HANDLERS": "^a(=m:f"}, "no regular expression"),
        ({"HANDLERS": r"^a\d=m:f"}, r'the Kafka client does not know "\d"'),
        ({"HANDLERS": "^a(?!b)=m:f"}, 'the Kafka client does not know "(?"'),
        ({"HANDLERS": "not fine=m:f"}, 'HANDLERS names "not fine", which is no topic'),
        ({"HANDLERS": "=m:f"}, "HANDLERS"),
        ({"HANDLERS": "a"}, "HANDLERS"),
        ({"HANDLERS": "^a=m:f,a.dlq=m:g"}, "Consume it in a service of its own."),
        ({"HANDLERS": "^a=m:f", "RETRY_TOPICS": "10m"}, "RETRY_TOPICS can't be used with a pattern"),
        ({"HANDLERS": f"{'t' * 249}=m:f"}, "longer than 249 characters"),
    ],
)
def test_what_can_not_be_meant_is_a_fault_that_says_so(environ: Dict[str, str], words: str) -> None:
    (fault,) = faults(**environ)

    assert words in fault


@pytest.mark.parametrize("handlers", ["a.dlq=m:f", "^a$=m:f", "^(a|b)[0-9]+[.]x=m:f,c=m:f", ""])
def test_what_can_be_meant_is_none(handlers: str) -> None:
    load([], {**REQUIRED, "HANDLERS": handlers}, NO_FILE)
