"""The settings of a worker that is tested, from what the test gives: validated as the service's own, with its words."""

from __future__ import annotations

import difflib
import os
from typing import Any, Dict, Mapping

from kafka_worker.shared.configuration import load
from kafka_worker.shared.setting import written
from kafka_worker.shared.settings import ALL_PREFIXES, TABLE, Settings

#: What a test need not say. One thread, so that messages run one after the other, and a test says the same each time.
USUAL = {"KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092", "KAFKA_GROUP_ID": "test", "PROCESSES": "1", "THREADS": "1"}


def variables(given: Mapping[str, Any]) -> Dict[str, str]:
    """The variables that say these settings, which a test gives by the same names in lower case. Raises TypeError for a name
    that is none."""
    known = [row.environment for row in TABLE.values()]
    found = {}
    for name, value in given.items():
        variable = name.upper()
        if variable not in known and not variable.startswith(tuple(ALL_PREFIXES)):
            near = difflib.get_close_matches(variable, known, 1)
            raise TypeError(f"there is no setting {name}{f'; did you mean {near[0].lower()}?' if near else ''}")
        found[variable] = written(tuple(value) if isinstance(value, list) else value)
    return found


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings that they make, without those of this process's environment, and of any `.env`. Raises
    ConfigurationError."""
    return load.load([], {**USUAL, **variables(given)}, os.devnull).settings
