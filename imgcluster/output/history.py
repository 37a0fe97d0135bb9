"""The clusterings that a folder held before: what each said about itself, not a second copy of its files."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence

from imgcluster.errors import ImgclusterError
from imgcluster.files import read_limited
from imgcluster.output.marker import Marker, OwnFile

_STEP = ".imgcluster-before-"
_MOST_STEPS = 30
_MOST_BYTES = 1 << 30
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def pack_step(files: Mapping[str, bytes]) -> bytes:
    """Put the files that a clustering told about itself into one; equal ones give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack_step(data: bytes, *names: str) -> dict[str, bytes]:
    """Give back what `pack_step` was given, or some of it. Raises ImgclusterError where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name in names or not names}
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError) as error:
        raise ImgclusterError(
            f"the clustering before cannot be read ({error}): undo --all takes all away"
        ) from error


def history_files(steps: Sequence[bytes]) -> dict[str, bytes]:
    """Give the files that keep the last of `steps`, the oldest first, by their place in the clustering."""
    return {f"{_STEP}{number:03}.zip": step for number, step in enumerate(steps[-_MOST_STEPS:])}


def tells_of_steps(marker: Marker | None) -> bool:
    """Whether there were clusterings before the one of `marker`."""
    return marker is not None and any(name.startswith(_STEP) for name in marker.files)


def read_steps(out: str, marker: Marker) -> tuple[bytes, ...]:
    """Read the steps of the clustering in `out`, the oldest first: those files that are as we wrote them."""
    places = sorted(name for name in marker.files if name.startswith(_STEP))
    paths = [(os.path.join(out, place), marker.files[place]) for place in places]
    return tuple(
        data for path, own in paths if os.path.lexists(path) and (data := read_told(path, own)) is not None
    )


def read_told(path: str, own: OwnFile | None) -> bytes | None:
    """Read a file of a clustering that decides what is done with images; None where it is not as we wrote it.

    Inode, size and time are no proof here, for whoever may write to the folder can change bytes in place.
    """
    data = read_limited(path, _MOST_BYTES)
    return data if own is not None and hashlib.sha256(data).hexdigest() == own.key else None
