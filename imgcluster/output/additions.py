"""Files that come into a clustering after it was made, such as a report: they become ours like the others."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.output.file_system import locked_folder, write_durably
from imgcluster.output.marker import Marker, OwnFile, read_marker, write_marker
from imgcluster.output.paths import below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcluster.records import Progress


def add_files(out: str, files: Mapping[str, bytes], *, progress: Progress) -> None:
    """Write `files` (by path below `out`) into the clustering at `out`, in place of ours of the same names.

    Raises
    ------
    ImgclusterError
        When `out` is not ours, or a file that is not ours has one of the names: nothing is written then.
    """
    out = os.path.realpath(out)
    parent = os.path.dirname(out)
    try:
        with locked_folder(
            parent, lambda: progress.note(f"waiting for another imgcluster that writes in {parent}")
        ):
            marker = read_marker(out)
            if marker is None:
                raise ImgclusterError(f"no clustering in {out}: run `imgcluster cluster` first")
            added = {below(f"./{name}"): data for name, data in files.items()}
            for name in added:
                _check_free(out, name, marker)
            # In the marker first, by its content: a file is ours from its first moment on.
            own = {name: _own(data) for name, data in added.items()}
            write_marker(out, replace(marker, files=marker.files | own))
            for name, data in added.items():
                path = os.path.join(out, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                write_durably(path, data)
    except OSError as error:
        raise ImgclusterError(f"cannot write {error.filename or out}: {error.strerror}") from error


def _check_free(out: str, name: str, marker: Marker) -> None:
    path = os.path.join(out, name)
    folder = os.path.dirname(path)
    if os.path.commonpath((os.path.realpath(folder), out)) != out:
        raise ImgclusterError(f"{folder} leads out of {out}: move it away")
    own = marker.files.get(name)
    if os.path.lexists(path) and (own is None or not own.is_at(path, os.lstat(path))):
        raise ImgclusterError(f"{path} was not written by imgcluster, or was changed since: move it away")


def _own(data: bytes) -> OwnFile:
    return OwnFile("written", hashlib.sha256(data).hexdigest(), len(data), mtime_ns=0, inode=0)
