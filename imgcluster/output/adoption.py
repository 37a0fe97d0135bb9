"""Files that are written into a finished clustering, such as its report, become its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.output.marker import Marker, OwnFile, read_marker, write_marker
from imgcluster.output.ownership import examine

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def adopted(out: str, places: tuple[str, ...]) -> Iterator[None]:
    """Make what the block writes below `places` (relative to `out`) part of the clustering in `out`.

    So the next clustering replaces it, and `undo` takes it away. What others had put there stays theirs.
    Where `out` holds no clustering of ours, nothing is noted.
    """
    out = os.path.realpath(out)
    marker = read_marker(out)
    others = set(_files_of_others(out, marker, places)) if marker is not None else set()
    yield
    if marker is None:
        return
    files = {name: own for name, own in marker.files.items() if not _is_below(name, places)}
    for name in _files(out, places):
        if name not in others:
            files[name] = _own(os.path.join(out, name))
    write_marker(out, replace(marker, files=files))


def _files_of_others(out: str, marker: Marker, places: tuple[str, ...]) -> Iterator[str]:
    """Yield single files: a folder may hold files of others and be a place of ours all the same."""
    foreign = (path for path in examine(out, marker).foreign if _is_below(path, places))
    yield from _files(out, tuple(foreign))


def _is_below(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _files(out: str, places: tuple[str, ...]) -> Iterator[str]:
    for place in places:
        path = os.path.join(out, place)
        if os.path.isfile(path):
            yield place
        for folder, _, names in os.walk(path):
            yield from (os.path.relpath(os.path.join(folder, name), out) for name in names)


def _own(path: str) -> OwnFile:
    status = os.lstat(path)
    key = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return OwnFile("written", key, status.st_size, status.st_mtime_ns, status.st_ino)
