"""Text and bytes as they are, of whatever calls itself so: an enum of text, a subclass of bytes. What a subclass does when it
is asked is its own affair, and neither crosses to another process nor reaches a thread of ours."""

from __future__ import annotations


def plain_text(value: str) -> str:
    """The characters, as an object of `str` itself."""
    return str.__str__(value)


def plain_bytes(value: bytes) -> bytes:
    """The bytes, as an object of `bytes` itself."""
    return memoryview(value).tobytes()
