"""The images that ``--mode move`` put into a clustering: where each came from, and where it lies now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from imgcluster.files import Expected, RealFolders
from imgcluster.output.contents import examine
from imgcluster.output.manifest import ASSIGNMENTS, read_assignments
from imgcluster.output.marker import Marker, OwnFile, read_marker
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Placement


@dataclass(frozen=True, slots=True)
class MovedImage:
    """An image that has left its folder.

    `path` is where it lies now, or lay; `state` tells whether it is there as it was put there. `expected` is
    known where a run of this user put that very file there, and knew it to hold the bytes of `key`.
    """

    original: str
    path: str
    key: bytes
    state: Literal["here", "changed", "gone"]
    expected: Expected | None = None


def moved_images(out: str, owner: Ownership = IN_MEMORY) -> tuple[MovedImage, ...]:
    """List the images that themselves lie in the clustering in `out`; none where there is no clustering.

    One that a person moved on to another cluster folder is found there.

    Raises
    ------
    ImgclusterError
        When the clustering is damaged, or a newer imgcluster made it.
    """
    out = os.path.realpath(out)
    if not os.path.exists(os.path.join(out, ASSIGNMENTS)):
        return ()
    moved = [placement for placement in read_assignments(out) if placement.path != placement.original]
    marker = read_marker(out, owner) if moved else None
    own = {} if marker is None else {os.path.join(out, path): file for path, file in marker.files.items()}
    by_hand = {} if marker is None else moved_by_hand(out, marker)
    trusted = marker is not None and marker.own
    folders = RealFolders()
    return tuple(
        _moved(image, by_hand.get(image.path, image.path), own.get(image.path), folders, trusted=trusted)
        for image in moved
    )


def moved_by_hand(out: str, marker: Marker) -> Mapping[str, str]:
    """For images of `moved_images` that are elsewhere in the clustering by now: from where to where."""
    put = {os.path.join(out, path) for path, own in marker.files.items() if own.kind == "moved"}
    if all(map(os.path.lexists, put)):
        return {}
    found = (
        (os.path.join(out, then), os.path.join(out, now)) for now, then in examine(out, marker).owned.items()
    )
    return {then: now for then, now in found if then in put and then != now}


def _moved(
    image: Placement, path: str, own: OwnFile | None, folders: RealFolders, *, trusted: bool
) -> MovedImage:
    # What lies behind a link is not in the clustering.
    if not os.path.lexists(path) or not folders.is_direct(path):
        return MovedImage(image.original, path, image.key, "gone")
    ours = own is None or own.is_at(path)
    known = own.proof(path) if trusted and own is not None and own.key == image.key.hex() else None
    return MovedImage(image.original, path, image.key, "here" if ours else "changed", known)
