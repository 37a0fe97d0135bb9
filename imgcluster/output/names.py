"""Names of files in cluster folders: the image's own, told apart where two collide."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_BYTES = 255


def choose_names(paths: Sequence[str], keys: Sequence[bytes]) -> list[str]:
    """Give each file a name of its own within one folder.

    A file keeps its base name unless another file's differs from it in nothing but case; then both get the
    beginning of their key, and a number where even that is equal. The names depend on the files alone, not on
    their order, but for files that are equal: those are numbered in the order of their paths.
    """
    wanted = [os.path.basename(path) for path in paths]
    counts: dict[str, int] = {}
    for name in wanted:
        counts[name.casefold()] = counts.get(name.casefold(), 0) + 1
    taken = {name.casefold() for name in wanted if counts[name.casefold()] == 1}
    names = list(wanted)
    for position in sorted(range(len(paths)), key=lambda row: os.fsencode(paths[row])):
        if counts[wanted[position].casefold()] > 1:
            names[position] = _free_name(wanted[position], keys[position].hex(), taken)
            taken.add(names[position].casefold())
    return names


def _free_name(name: str, key: str, taken: set[str]) -> str:
    number = 1
    while True:
        suffix = f"-{key[:8]}" if number == 1 else f"-{key[:8]}-{number}"
        candidate = _with_suffix(name, suffix)
        if candidate.casefold() not in taken:
            return candidate
        number += 1


def _with_suffix(name: str, suffix: str) -> str:
    stem, ending = os.path.splitext(name)
    while len(os.fsencode(stem + suffix + ending)) > _LONGEST_BYTES:
        stem = stem[:-1]
    return stem + suffix + ending
