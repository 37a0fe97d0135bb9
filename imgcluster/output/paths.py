"""Paths as the files of a clustering hold them: absolute, or relative to it and beginning with ``./``."""

from __future__ import annotations

import os


class PathTexts:
    """Writes paths relative to `base` where both lie together (below a common folder), absolute elsewhere."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._folders: dict[str, str] = {}  # images share few folders, and relpath is slow

    def text(self, path: str) -> str:
        """Return `path`, an absolute one, as it is written: beginning with ``./`` or ``/``."""
        folder, _, name = path.rpartition("/")
        prefix = self._folders.get(folder)
        if prefix is None:
            prefix = self._folders[folder] = self._folder_text(folder or "/")
        return f"{prefix}/{name}"

    def _folder_text(self, folder: str) -> str:
        relative = relative_if_together(folder, self.base)
        if relative is None:
            return folder.rstrip("/")
        return "." if relative == "." else f"./{relative}"


def relative_if_together(path: str, base: str) -> str | None:
    """Return `path` relative to `base`, or None where they have nothing in common but the root."""
    return None if os.path.commonpath((path, base)) == "/" else os.path.relpath(path, base)


def is_path(text: str) -> bool:
    """Whether `text` is as `PathTexts` writes a path."""
    return text.startswith(("/", "./")) and "\0" not in text


def absolute(text: str, base: str) -> str:
    """Read back what `PathTexts` wrote. ValueError for anything else."""
    if not is_path(text):
        raise ValueError(f"not a path: {text!r}")
    return text if text.startswith("/") else os.path.normpath(f"{base}/{text}")


def below(text: str) -> str:
    """Return the ``0/a.jpg`` of ``./0/a.jpg``. ValueError where it would lead out of its folder."""
    plain = text.startswith("./") and "/." not in text[1:] and "//" not in text
    if plain and text[-1] != "/" and "\0" not in text:  # nearly all, a hundred thousand times
        return text[2:]
    parts = text.split("/")
    strange = any(part in {"", ".", ".."} for part in parts[1:])
    if parts[0] != "." or len(parts) < 2 or "\0" in text or strange:
        raise ValueError(f"not a path below its folder: {text!r}")
    return text[2:]
