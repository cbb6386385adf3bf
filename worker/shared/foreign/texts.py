"""Texts and bytes that others have written: as they are, and for human eyes. Pure.

Whatever calls itself text or bytes may be an enum or a subclass. What that does when it is asked is its own affair, and
neither crosses to another process nor reaches a thread of ours. And a message is written by strangers, while a terminal obeys
what it is sent: nothing of it is shown that would move the cursor, change the window's title, or let a text be read in another
order than it is stored.
"""

from __future__ import annotations

from typing import Optional


def plain_text(value: str) -> str:
    """The characters, as an object of `str` itself."""
    return str.__str__(value)


def plain_bytes(value: bytes) -> bytes:
    """The bytes, as an object of `bytes` itself."""
    return memoryview(value).tobytes()


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


def counted(number: int, noun: str) -> str:
    """So many of something: `1 message`, `2 messages`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def readable(data: Optional[bytes], longest: int = 100) -> Optional[str]:
    """Any bytes, up to so many of them, as one line; None for none."""
    return None if data is None else escaped(data[:longest].decode("utf-8", errors="backslashreplace"))
