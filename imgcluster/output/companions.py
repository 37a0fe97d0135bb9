"""Files that belong to an image by their name, and go where it goes: edits, raw partners, films."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from imgcluster.output.names import NAME_LIMIT, folded, tagged

_EDITS = {".aae", ".cos", ".dop", ".nksc", ".on1", ".pp3", ".thm", ".wav", ".xmp"}
_FILMS = {".mov", ".mp4"}
_RAWS = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
}
_ENDINGS = frozenset(_EDITS | _FILMS | _RAWS)


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that goes with an image.

    Attributes
    ----------
    source
        Where it lies.
    relative
        Its place below the output folder.
    image
        That of its image.
    ending
        What its name has behind that of the image, or, where that is not `whole`, behind its stem.
    """

    source: str
    relative: str
    image: str
    ending: str
    whole: bool

    def beside(self, image: str) -> str:
        """Return its path beside the image, if that lies at `image`."""
        return f"{image if self.whole else os.path.splitext(image)[0]}{self.ending}"


def is_companion(path: str, images: Container[str] = ()) -> bool:
    """Whether a file is a companion: by its ending, or by its path that of one of the `images`."""
    return os.path.splitext(path)[1].lower() in _ENDINGS or bool(_named_in(path, images))


def _named_in(path: str, images: Container[str]) -> str:
    """Return the image whose whole name a path has, and one ending or two more; else nothing."""
    stem = os.path.splitext(path)[0]
    return next((image for image in (stem, os.path.splitext(stem)[0]) if image in images), "")


def find_companions(
    moves: Mapping[str, str], is_image: Callable[[str], bool]
) -> tuple[tuple[Companion, ...], int]:
    """Find the files that go with images, and count those that stay, for an image of their name does.

    Where images of one name go to different folders, their companions go with the first.

    Parameters
    ----------
    moves
        Where each image that is moved goes to below the output folder.
    is_image
        Whether a name is that of an image.
    """
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for source in sorted(moves):
        by_folder[os.path.dirname(source)].append(source)
    taken = {folded(relative) for relative in moves.values()}
    found: list[Companion] = []
    staying = 0
    for folder, images in by_folder.items():
        paths = [path for path in _files(folder) if path not in moves]
        by_stem = {os.path.splitext(image)[0]: image for image in reversed(images)}
        others = {os.path.splitext(path)[0] for path in paths if is_image(path)}
        for path in paths:
            stem, ending = os.path.splitext(path)
            whole = bool(named := _named_in(path, moves))
            image = named or (by_stem.get(stem) if is_companion(path) else None)
            if image is None:
                continue
            ending = path[len(image) :] if whole else ending
            base = moves[image] if whole else os.path.splitext(moves[image])[0]
            relative = f"{base}{ending}"
            if folded(relative) in taken:
                relative = tagged(relative, hashlib.sha256(os.fsencode(path)).hexdigest()[:8])
            if (not whole and stem in others) or len(os.fsencode(os.path.basename(relative))) > NAME_LIMIT:
                staying += 1
                continue
            taken.add(folded(relative))
            found.append(Companion(path, relative, moves[image], ending, whole))
    return tuple(found), staying


def _files(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []
