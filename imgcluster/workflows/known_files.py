"""Images that a store knows, read again from whichever file still holds them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.reading import content_key, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcluster.records import Pixels, Placement

KNOWN_LIMITS = DecodeLimits(max_pixels=sys.maxsize, accept_truncated=True)
"""Whatever `extract` was told to take is taken again."""

READING_SECONDS = 60.0
"""How long one file may take to be read and decoded again."""


def decode_known(key: bytes, paths: Iterable[str], at_least: int) -> Pixels:
    """Decode an image, (H, W, 3) uint8 RGB, from the first of `paths` that still holds the bytes of `key`.

    Parameters
    ----------
    at_least
        How many pixels the shorter side needs; a larger picture may come at a reduced scale.

    Raises
    ------
    UnreadableImage
        Where none does, with the reason that the first path gave.
    """
    refusals = []
    for path in dict.fromkeys(paths):
        try:
            data = read_file(path)
        except UnreadableImage as refusal:
            refusals.append(refusal)
            continue
        if content_key(data) == key:
            return decode(data, KNOWN_LIMITS, at_least=at_least).pixels
        refusals.append(UnreadableImage("changed since it was extracted", FailureCode.CHANGED))
    raise refusals[0] if refusals else UnreadableImage("no file with it is known", FailureCode.VANISHED)


def places_of(placement: Placement) -> tuple[str, ...]:
    """Return where an image of a clustering may lie: its own place, and its copy or link there."""
    return (placement.path, placement.shown or placement.path)


def present_path(placement: Placement) -> str | None:
    """Return the first of `places_of` where there is a file, None where there is none."""
    return next(filter(os.path.exists, places_of(placement)), None)
