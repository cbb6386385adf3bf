"""Bytes and texts of messages for human eyes. Pure.

A message is written by strangers, and a terminal obeys what it is sent: nothing of it is shown that would move the cursor,
change the window's title, or let a text be read in another order than it is stored.
"""

from __future__ import annotations

from typing import Optional


def escaped(text: str) -> str:
    """The text with everything escaped that is not to be seen as a character: controls, line breaks, directions."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def readable(data: Optional[bytes], longest: int = 100) -> Optional[str]:
    """Any bytes, up to so many of them, as one line; None for none."""
    return None if data is None else escaped(data[:longest].decode("utf-8", errors="backslashreplace"))
