"""A value that somebody gave, and where to correct it. Pure."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, Tuple

from kafka_worker.shared.settings import MASK

Key = Tuple[str, str]  # field of Settings, and the property in it or ""
_LONGEST_SHOWN = 80
_SIGNED_IN = re.compile(r"[^\s,/@:]*:\S*@")  # user:password@, where none belongs; a password may have , and @ in it


class Given(NamedTuple):
    """A value somebody gave, and where to correct it."""

    name: str  # as it was written: a variable or a flag
    value: str
    where: str
    file: str = ""  # the value was read from it, which makes the value a possible secret

    def described(self, *, secret: bool = False) -> str:
        """The beginning of a fault: what was given, on one line, without secrets."""
        if self.file:
            return f"{self.name} ({self.where}): the content of {json.dumps(self.file)}"
        shown = MASK if secret else json.dumps(_SIGNED_IN.sub(f"{MASK}@", self.value)[:_LONGEST_SHOWN], ensure_ascii=False)
        return f"{self.name} = {shown} ({self.where})"
