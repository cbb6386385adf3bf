"""Short forms of what others have written. SHA-256 of Python's own, because `hashlib` brings OpenSSL: 4 MB of each process."""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found]  # of Python 3.12
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # a Python without its own
        from hashlib import sha256


def digest(data: bytes, length: int) -> str:
    """So many characters of 0 to f."""
    return str(sha256(data).hexdigest()[:length])
