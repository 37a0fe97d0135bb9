"""Files compared by their bytes."""

from __future__ import annotations

import hashlib


def has_content(path: str, key: str) -> bool:
    """Whether the SHA-256 of the file at `path` is `key` (hex); False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == key
    except OSError:
        return False
