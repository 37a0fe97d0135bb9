"""How an image gets into a cluster folder: one function per way, one row per mode."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from imgcluster.errors import quantity
from imgcluster.files import Expected, copy_new
from imgcluster.held import Held, Identity, at, exchanged, hard_link, identity, not_held
from imgcluster.output.file_system import NAME_REFUSED, NO_LINK
from imgcluster.output.marker import Kind, OwnFile
from imgcluster.output.names import portable_name
from imgcluster.output.paths import relative_if_together

_FALL_BACK = NO_LINK | {errno.ENOTTY, errno.EINVAL}  # these two: a file system that knows no reflinks
_MOST_OPEN = 64
_ONE_FILE_ONLY = frozenset({errno.EPERM, errno.EACCES, errno.EMLINK})


def _hardlink(source: str, target: Held, _folder: str, expected: Expected) -> Identity:
    hard_link(not_held(source), target)
    found = expected.found_at(target)
    if found is None:
        target.unlink()
        raise exchanged(source)
    return found


def _symlink(source: str, target: Held, folder: str, expected: Expected) -> Identity:
    target.symlink(link_text(source, folder))
    if expected.found_at(not_held(source)) is None:
        target.unlink()
        raise exchanged(source)
    return identity(target.lstat())


def _reflink(source: str, target: Held, _folder: str, expected: Expected) -> Identity | None:
    try:
        return _copy(source, target, _folder, expected, clone=True)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise OSError(errno.ENOTTY, error.strerror) from None  # that other ones are for names


def _copy(
    source: str, target: Held, _folder: str, expected: Expected, *, clone: bool = False
) -> Identity | None:
    return identity(target.lstat()) if copy_new(source, target, clone=clone, expected=expected) else None


@dataclass(frozen=True)
class Way:
    """How a file gets into a cluster folder, what is said of it afterwards, and what the marker calls it.

    `place` gives what lies there; None for a copy that could not keep times and permissions of the source.
    """

    place: Callable[[str, Held, str, Expected], Identity | None]
    past: str
    kind: Kind


WAYS = {
    "hardlink": Way(_hardlink, "hard-linked", "hardlink"),
    "reflink": Way(_reflink, "reflinked", "copy"),
    "symlink": Way(_symlink, "symlinked", "symlink"),
    "copy": Way(_copy, "copied", "copy"),
}

TABLE = "table"
MODES: dict[str, tuple[str, ...]] = {
    "auto": ("hardlink", "reflink", "copy"),
    "hardlink": ("hardlink", "reflink", "copy"),
    "symlink": ("symlink", "copy"),
    "copy": ("copy",),
    "move": ("symlink", "copy"),  # for an image that is itself a link: its target stays where it is
    TABLE: (TABLE,),
}
"""The ways that each mode tries, in order. `move` renames, see `move_journal`; `table` places nothing."""


def is_refused_name(path: str, error: OSError) -> bool:
    """Whether the file system may refuse a file for its name, which another would take."""
    name = os.path.basename(path)
    return error.errno in NAME_REFUSED and portable_name(name) != name


def link_text(source: str, folder: str) -> str:
    """Return what a symbolic link in `folder` (its final place) says: relative where both lie together."""
    return relative_if_together(source, folder) or source


@dataclass
class Placer:
    """Puts files in place in one mode, and counts how often it had to take another way than the first.

    The folders of the last files stay open until `close`.
    """

    mode: str
    used: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    renamed: int = 0
    _refused: set[tuple[str, int]] = field(default_factory=set)
    _open: dict[str, int] = field(default_factory=dict)

    def place(self, source: str, target: str, folder: str, expected: Expected, origin: str = "") -> OwnFile:
        """Put `source` at `target`, to lie in `folder`; return what a marker says of it, with `origin`.

        OSError, too, where another file lies there.
        """
        ways, device = MODES[self.mode], expected.device
        for way in ways:
            if (way, device) in self._refused:
                continue
            try:
                place = self._at(target)
                found = WAYS[way].place(source, place, folder, expected)
            except OSError as error:
                if is_refused_name(target, error) or way == ways[-1] or error.errno not in _FALL_BACK:
                    raise
                if way == ways[0]:
                    self.reasons[os.strerror(error.errno or 0)] += 1
                if error.errno not in _ONE_FILE_ONLY:
                    self._refused.add((way, device))
                continue
            self.used[way] += 1
            self.changed += found is None
            inode, size, mtime_ns = found or identity(place.lstat())
            kind = WAYS[way].kind
            link = place.readlink() if kind == "symlink" else ""
            return OwnFile(kind, expected.key.hex(), size, mtime_ns, inode, origin, link)
        raise AssertionError("the last way is never refused")

    def _at(self, target: str) -> Held:
        folder, name = os.path.split(target)
        if folder not in self._open:
            if len(self._open) == _MOST_OPEN:
                self.close()
            self._open[folder] = at(target).folder
        return Held(self._open[folder], name, target)

    def close(self) -> None:
        """Close the folders that are open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def keep(self, source: str, target: str, own: OwnFile) -> None:
        """Put the link or copy `source`, of the tree that is being replaced, at `target`, as it is.

        OSError, too, where it is not what `own` says.
        """
        with at(source) as old, at(target) as new:
            try:
                hard_link(old, new)
            except OSError as error:
                if error.errno not in _FALL_BACK:
                    raise
                if own.kind == "symlink":
                    new.symlink(old.readlink())
                else:
                    copy_new(old, new)
            if not own.is_at(target):
                new.unlink()
                raise exchanged(source)

    def remarks(self) -> Iterator[str]:
        """Yield a line about what the file system did not take as it was."""
        if self.changed:
            copies = quantity(self.changed, "copy", "copies")
            yield f"times or permissions of {copies} could not be kept there"
        if self.renamed:
            names = "1 name is" if self.renamed == 1 else f"{self.renamed} names are"
            yield f"{names} not possible there: digits of the image's key stand in it; `undo` restores it"

    @property
    def fallbacks(self) -> int:
        """How many files did not go the mode's first way."""
        return self.used.total() - self.used[MODES[self.mode][0]]

    def summary(self) -> str:
        """Return one line about the fallbacks, or nothing where there were none."""
        if not self.fallbacks:
            return ""
        first = MODES[self.mode][0]
        others = " and ".join(
            f"{count} {WAYS[way].past}" for way, count in sorted(self.used.items()) if way != first and count
        )
        reason = next(iter(self.reasons), "not possible there")
        count = f"{self.fallbacks} of {self.used.total()} files"
        return f"{count} could not be {WAYS[first].past} ({reason}): {others} instead"
