"""What somebody may have meant who has written a name that there is not. Pure."""

from __future__ import annotations

from typing import Iterable

LIKENESS = 0.6  # of difflib's ratio, where names are few or short, and a guess costs nothing
LIKE_LETTERS = 0.8  # likewise: one wrong, missing or extra letter in five


def nearest(name: str, known: Iterable[str], likeness: float = LIKENESS) -> str:
    """The known name most like this one, by difflib's ratio; empty: none comes near. It is asked at each start about all that
    is in the environment, so what can't be near, by its length or its letters, is left out before difflib is imported."""
    letters, near = set(name), []
    for each in known:
        shared = likeness * (len(name) + len(each)) / 2  # letters that they have in common at least
        if min(len(name), len(each)) >= shared:
            others = set(each)
            if len(name) - len(letters - others) >= shared and len(each) - len(others - letters) >= shared:
                near.append(each)
    if not near:
        return ""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, near, 1, likeness)), "")
