"""The key of an image: the SHA-256 of its file's bytes."""

from __future__ import annotations

import hashlib


def content_key(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 digest of a file's bytes: equal files share one key, whatever their names.

    Two different files with one key cannot be made on purpose as long as SHA-256 stands.
    """
    return hashlib.sha256(data).digest()
