"""Bytes and texts of messages for human eyes. Pure.

A message is written by strangers, and a terminal obeys what it is sent: nothing of it is shown that would move the cursor,
change the window's title, or let a text be read in another order than it is stored.
"""

from __future__ import annotations

from typing import Optional


def escaped(text: str) -> str:
    """The text with everything escaped that is not to be seen as a character: controls, line breaks, directions."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shortened(text: str, longest: int) -> str:
    """About so many characters of a text, without its middle where it has more: the beginning says what it is, and the end may
    say why."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} …{len(text) - 2 * half} characters… {text[-half:]}"


def readable(data: Optional[bytes], longest: int = 100) -> Optional[str]:
    """Any bytes, up to so many of them, as one line; None for none."""
    return None if data is None else escaped(data[:longest].decode("utf-8", errors="backslashreplace"))
