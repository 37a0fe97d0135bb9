"""The life of a cluster folder: what it can be found in, and what is done then.

A new tree is built beside the output folder, under a name that tells which folder it is for. Then the two
change places in one step, and what the old tree holds is sorted out: our files go, all others move along.
Whatever interrupts this, the markers tell which step was the last. `look` finds that out, and `settle` takes
the steps of the table below until the folder is at rest. docs/clusters.md has the table for people.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto

from imgcluster.errors import ChangedMeanwhile, ImgclusterError, quantity
from imgcluster.files import is_temporary, sync_file
from imgcluster.held import exchange, remove, remove_folder, rename_new
from imgcluster.output.contents import KEPT, Contents, examine
from imgcluster.output.dismantle import discard_all, save_originals, sweep
from imgcluster.output.file_system import locked_folder
from imgcluster.output.manifest import ASSIGNMENTS, CLUSTERING
from imgcluster.output.marker import Marker, read_marker
from imgcluster.output.move_journal import put_back
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Notify
from imgcluster.typed import place_of

_BESIDE = ".imgcluster-"


class State(Enum):
    """What an output folder can be found in."""

    NOTHING = auto()  # no such folder
    FOREIGN = auto()  # a folder without a marker of ours
    FINISHED = auto()  # a clustering; its images may have been moved, and some of them moved on by a person
    WITHOUT_OUT = auto()  # between the two renames of a file system without exchange: the old tree is aside
    BEGUN = auto()  # a tree without marker beside it: hardly begun, or not ours
    BUILDING = auto()  # an unfinished tree beside it, or a finished one that never took its place
    BUILT = auto()  # a finished tree beside it, and nothing in its place
    EXCHANGED = auto()  # the new clustering is in place, the replaced tree is not (or half) swept


@dataclass(frozen=True)
class Situation:
    """The state of an output folder; `marker` is that of the clustering there, `tree` what lies beside it.

    `foreign` are the folders among these that no run of this user is known to have made. They are only read.
    """

    out: str
    state: State
    marker: Marker | None = None
    tree: str = ""
    tree_marker: Marker | None = None
    foreign: tuple[str, ...] = ()

    def with_tables(self) -> Situation:
        """Take tables without a marker for a clustering, too: a foreign one."""
        tables = (os.path.join(self.out, name) for name in (ASSIGNMENTS, CLUSTERING))
        if self.marker is not None or not any(map(os.path.lexists, tables)):
            return self
        return replace(self, marker=Marker(0, building=False), foreign=(self.out, *self.foreign))

    def refuse_foreign(self, *folders: str) -> None:
        """Raise ImgclusterError where one of these folders is foreign."""
        for folder in self.foreign:
            if folder in folders:
                raise ImgclusterError(
                    f"{folder} is not known to be made by a run of yours, so nothing in it is changed: "
                    "--trust DIR, the folder that its images came from, takes it over and writes only there "
                    "and below DIR (--dry-run shows what)"
                )


def look(out: str, owner: Ownership = IN_MEMORY) -> Situation:
    """Find out what `out`, an absolute path without links, is in; nothing is changed.

    Raises
    ------
    ImgclusterError
        When a newer imgcluster made something there, or a marker cannot be read.
    """
    built, aside = new_tree(out), _beside(out, "old")
    marker, new = read_marker(out, owner), read_marker(built, owner)
    there = os.path.lexists(out)
    tree = next(filter(os.path.lexists, (aside, built)), "")
    if tree == aside:
        state = State.EXCHANGED if there else State.WITHOUT_OUT
    elif not tree:
        at_rest = State.FOREIGN if there else State.NOTHING
        state = at_rest if marker is None else State.FINISHED
    elif new is None:
        # A folder without marker that was replaced with --force has none either.
        state = State.EXCHANGED if marker is not None and _replaced(tree, marker) else State.BEGUN
    elif new.building or (there and new.generation > (marker.generation if marker else 0)):
        state = State.BUILDING
    else:
        state = State.EXCHANGED if there else State.BUILT
    tree_marker = new if tree == built else read_marker(tree, owner) if tree else None
    foreign = tuple(
        folder for folder, its in ((tree, tree_marker), (out, marker)) if its is not None and not its.own
    )
    if tree and tree_marker is None and state is not State.BEGUN:
        # What a run of ours replaced with --force need not be a clustering.
        its = new if state is State.WITHOUT_OUT else marker
        if its is None or not _replaced(tree, its) or not its.own:
            foreign = (tree, *foreign)
    return Situation(out, state, marker, tree, tree_marker, foreign)


def _replaced(tree: str, marker: Marker) -> bool:
    """Whether the clustering of `marker` took, or was to take, the place of `tree`."""
    return os.lstat(tree).st_ino == marker.replaces


class Settling:
    """Brings an output folder to rest, step by step; counts images that went home, and those to `kept/`."""

    def __init__(self, out: str, notify: Notify, owner: Ownership) -> None:
        self.found = look(out, owner)
        self.anything, self.returned, self.kept = False, 0, 0
        self._notify, self._owner = notify, owner

    def step(self) -> None:
        """Take the next step, but never by what lies in a foreign tree."""
        before = self.found
        before.refuse_foreign(before.tree)
        _NEXT_STEP[before.state](self)
        self.anything = True
        self.found = look(before.out, self._owner)
        if (before.state, before.tree) == (self.found.state, self.found.tree):
            raise ImgclusterError(f"{before.tree} is in the way: move it elsewhere")

    def put_in_place(self) -> None:
        """Give a finished tree the name that it is for."""
        rename_new(self.found.tree, self.found.out)

    def remove_begun(self) -> None:
        """Remove a folder in which no more than the writing of its marker was begun."""
        tree = self.found.tree
        parts = [os.path.join(tree, name) for name in os.listdir(tree)]
        for path in parts:
            if not (is_temporary(os.path.basename(path)) and stat.S_ISREG(os.lstat(path).st_mode)):
                raise ImgclusterError(f"{path} is in the way: move it elsewhere")
        for path in parts:
            remove(path)
        remove_folder(tree)

    def remove_built(self) -> None:
        """Put back what was moved into a tree, and remove it."""
        tree, out, marker = self.found.tree, self.found.out, self.found.tree_marker
        assert marker is not None  # noqa: S101 - else it is `BEGUN`
        back = put_back(tree, out, marker, self._owner)
        self.returned += back.returned
        if not back.complete and (kept := save_originals(tree, out)):
            self.kept += kept
            self._notify(
                f"the journal of an interrupted move is damaged: {quantity(kept, 'image')} whose place it "
                f"does not tell {'is' if kept == 1 else 'are'} in {os.path.join(out, KEPT)}"
            )
        discard_all(tree, os.listdir(tree))
        remove_folder(tree)
        self._owner.forget(marker.name)

    def sweep(self) -> None:
        """Sort out what a replaced tree holds."""
        found = self.found
        found.refuse_foreign(found.out)
        sync_file(os.path.dirname(found.out))  # the exchange is on the disk before anything goes
        sweep(found.tree, found.out, (found.tree_marker, found.marker), self._notify)
        if found.tree_marker is not None:
            self._owner.forget(found.tree_marker.name)


_NEXT_STEP: dict[State, Callable[[Settling], None]] = {
    State.WITHOUT_OUT: Settling.put_in_place,
    State.BEGUN: Settling.remove_begun,
    State.BUILDING: Settling.remove_built,
    State.BUILT: Settling.put_in_place,
    State.EXCHANGED: Settling.sweep,
}


def settle(out: str, notify: Notify, owner: Ownership) -> Settling:
    """Bring `out` to rest for a caller that holds the lock; mostly there is nothing to do.

    Raises
    ------
    ImgclusterError
        When something beside `out` cannot be told for ours; it is left as it is.
    """
    settled = Settling(out, notify, owner)
    while settled.found.state in _NEXT_STEP:
        settled.step()
    return settled


def recover(out: str, notify: Notify, owner: Ownership = IN_MEMORY, wait: float = math.inf) -> None:
    """Do as `settle` for a caller that holds no lock, and say what was done; `wait` is that of `locked`."""
    out = place_of(out)
    if look(out, owner).state in _NEXT_STEP:
        with locked(out, notify, wait):
            settled = settle(out, notify, owner)
        if settled.anything:
            back = f": {quantity(settled.returned, 'image')} moved back" if settled.returned else ""
            notify(f"cleared away what an interrupted run had left beside {out}{back}")


def give_up(out: str, notify: Notify, owner: Ownership) -> None:
    """Do as `settle` after an error in building: an unplaced tree goes, finished or not."""
    settled = Settling(out, notify, owner)
    if settled.found.state is State.BUILT:
        settled.found.refuse_foreign(settled.found.tree)
        settled.remove_built()
    else:
        settled = settle(out, notify, owner)
    if settled.returned:
        notify(f"{quantity(settled.returned, 'image')} moved back: all images are where they were")


def check_replaceable(
    found: Situation, moving: AbstractSet[str], *, force: bool, corrected: bool
) -> Marker | None:
    """Return the marker of what lies at an output folder, if any, when it may be replaced.

    `moving` are files in there that will have a place in the new clustering; `corrected`: what was moved by
    hand is known.

    Raises
    ------
    ImgclusterError
        When something there is not ours, names it; with `force` only when `out` is no folder, or holds a
        foreign clustering.
    """
    out, marker = found.out, found.marker
    if not os.path.lexists(out):
        return None
    if not os.path.isdir(out):
        raise ImgclusterError(f"{out} is a file: choose another --out")
    found.refuse_foreign(out)
    if force:
        return marker
    contents = examine(out, marker)
    if not corrected:
        refuse_corrections(contents)
    unowned = next((path for path in contents.in_the_way() if f"{out}/{path}" not in moving), None)
    if unowned is None:
        return marker
    if marker is None:
        raise ImgclusterError(
            f"{out} was not made by imgcluster and holds {unowned}: choose another --out, "
            "or --force to add the clusters to it"
        )
    path, advice = os.path.join(out, unowned), "move it away, or --force to keep it in place"
    if unowned in marker.files:
        raise ImgclusterError(f"{path} was changed since it was put there: {advice}")
    raise ImgclusterError(f"{path} was not put there by imgcluster: {advice}")


def refuse_other(out: str, found: Marker | None, expected: Marker | None) -> None:
    """Raise ChangedMeanwhile where `out` holds another clustering than the one that was read."""
    if _which(found) != _which(expected):
        raise ChangedMeanwhile(
            f"{out} was clustered or named meanwhile: run the command again (nothing was changed there)"
        )


def _which(marker: Marker | None) -> tuple[object, ...]:
    """Tell a clustering from all others; it stays the same when a report is added."""
    return () if marker is None else (marker.generation, marker.name, marker.files.get(ASSIGNMENTS))


def refuse_corrections(contents: Contents) -> None:
    """Raise ImgclusterError where a person moved an image to another cluster."""
    for now, then in contents.corrections:
        raise ImgclusterError(
            f"{os.path.join(contents.folder, now)} was moved by hand from {os.path.dirname(then)}/: "
            "`imgcluster correct` keeps such corrections for cluster --edits; "
            "--force, of cluster or undo, gives them up"
        )


def swap_in(out: str) -> None:
    """Put the finished tree at `out`, and what was there, if anything, where the tree was built."""
    built, aside = new_tree(out), _beside(out, "old")
    if not os.path.lexists(out):
        rename_new(built, out)
    elif not exchange(built, out):
        rename_new(out, aside)
        rename_new(built, out)


def locked(out: str, notify: Notify, wait: float = math.inf) -> AbstractContextManager[None]:
    """Hold the lock of everything that is done to `out`; another process is granted `wait` seconds."""
    parent = os.path.dirname(out)
    long = "" if math.isinf(wait) else f" up to {wait:g} s"
    return locked_folder(
        parent, wait, lambda: notify(f"waiting{long} for another imgcluster that writes in {parent}")
    )


def new_tree(out: str) -> str:
    """Return where the tree for `out` is built; after the exchange the old tree is there."""
    return _beside(out, "new")


def is_unfinished(name: str) -> bool:
    """Whether a folder of that name is what an interrupted run left for `recover`."""
    return name.startswith(_BESIDE) and name.endswith((".new", ".old"))


def _beside(out: str, suffix: str) -> str:
    parent, name = os.path.split(out)
    return os.path.join(parent, f"{_BESIDE}{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.{suffix}")
