"""Cluster folders: built beside the output folder, put in its place all at once."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from imgcluster.errors import ImgclusterError
from imgcluster.files import Expected, write_durably
from imgcluster.held import (
    at,
    make_folder,
    make_folders,
    permit_as,
    remove_folder,
    remove_if_empty,
)
from imgcluster.output.companions import Companion, is_companion
from imgcluster.output.contents import AWAY
from imgcluster.output.file_system import sync_all
from imgcluster.output.folder_plan import FolderPlan, PlannedFile, check_output, plan_folders
from imgcluster.output.life import (
    check_replaceable,
    give_up,
    locked,
    look,
    new_tree,
    recover,
    refuse_other,
    settle,
    swap_in,
)
from imgcluster.output.link_modes import Placer, is_refused_name
from imgcluster.output.marker import Kind, Marker, OwnFile, new_name, write_marker
from imgcluster.output.move_journal import MoveJournal, PlannedMove
from imgcluster.output.names import portable_name, substitutes
from imgcluster.output.paths import PathTexts, below
from imgcluster.ownership import IN_MEMORY, Ownership, is_mine
from imgcluster.records import Progress

__all__ = ["FolderPlan", "build_folders", "check_output", "plan_folders", "recover"]

_REPORT_EVERY = 64
_NO_FILES: Mapping[str, bytes] = MappingProxyType({})


def build_folders(  # noqa: PLR0913
    plan: FolderPlan,
    *,
    force: bool = False,
    corrected: bool = False,
    extra_files: Mapping[str, bytes] | Callable[[FolderPlan], Mapping[str, bytes]] = _NO_FILES,
    most: Mapping[str, int] = MappingProxyType({}),
    progress: Progress,
    owner: Ownership = IN_MEMORY,
    check: Callable[[str, FolderPlan], None] = lambda _tree, _plan: None,
    expected_marker: Marker | Literal["any"] | None = "any",
    wait: float = math.inf,
) -> FolderPlan:
    """Make the folders of `plan`, with `extra_files` (by path below the output folder) beside them.

    Where the file system does not take a name, another stands in its place. The plan as it was carried out is
    returned, and told to `extra_files`, if it is a function.

    All or nothing: the old clusters stay as they were until the new ones are complete, then the two change
    places. Only what our marker says is ours is ever removed.

    Parameters
    ----------
    force
        Replace also where others' files lie in the output folder; they are moved along.
    corrected
        The plan knows what was moved by hand.
    most
        The permissions that some of `extra_files` may have at most.
    check
        Is given the finished tree, and what was planned, before it takes its place; after an exception,
        nothing is changed.
    expected_marker
        That of the clustering that the plan is made from; None where there was none.
    wait
        Seconds for another process that writes there.

    Raises
    ------
    ImgclusterError
        When something in the output folder is not ours (named), or could not be written or read, or the
        clustering there is another one by now.
    KeyboardInterrupt
        When `progress` says that the user wants to stop; as after Ctrl-C itself, nothing is changed then.
    """
    parent = os.path.dirname(plan.out)
    if problem := owner.prepare():
        progress.note(f"{problem}: later runs will not know these clusters for yours, and ask for --trust")
    with _existing(parent), locked(plan.out, progress.note, wait):
        found = settle(plan.out, progress.note, owner).found
        if expected_marker != "any":
            refuse_other(plan.out, found.marker, expected_marker)
        old = check_replaceable(found, plan.moving, force=force, corrected=corrected)
        try:
            builder = _Builder(plan, old, progress, owner)
            plan = builder.build(extra_files if callable(extra_files) else lambda _: extra_files, most)
            check(new_tree(plan.out), plan)
            swap_in(plan.out)
        except BaseException as error:
            give_up(plan.out, progress.note, owner)
            if isinstance(error, OSError):
                raise ImgclusterError(_explained(error, plan)) from error
            raise
        _sweep(plan.out, progress, owner)
        # Folders of somebody's own that held nothing but images of ours were carried along.
        for folder in {os.path.dirname(path) for path in plan.moving} - {plan.out}:
            if folder.startswith(f"{plan.out}/"):
                with contextlib.suppress(OSError):  # all is in place: an empty folder more does no harm
                    remove_if_empty(folder)
    placer = builder.placer
    if placer.fallbacks:
        progress.note(placer.summary())
    for remark in placer.remarks():
        progress.note(remark)
    if plan.staying:
        stay = "1 companion stays" if plan.staying == 1 else f"{plan.staying} companions stay"
        progress.note(f"{stay} where images of the same name do")
    return replace(plan, fallbacks=placer.fallbacks)


class _Builder:
    """Fills the new tree, and notes each file in its marker."""

    def __init__(self, plan: FolderPlan, old: Marker | None, progress: Progress, owner: Ownership) -> None:
        self._plan, self._owner = plan, owner
        self._known_homes: dict[str, frozenset[tuple[str, str]] | None] = {}
        self._tree = new_tree(plan.out)
        replaced = os.lstat(plan.out).st_ino if os.path.lexists(plan.out) else 0
        generation = 1 if old is None else old.generation + 1
        self._marker = Marker(generation, building=True, replaces=replaced, name=new_name())
        self._progress = progress
        self._own: dict[str, OwnFile] = {}
        self._journal: MoveJournal | None = None
        self._away = {} if old is None else _images_away(plan, old)
        self._texts = PathTexts(plan.out)
        self.placer = Placer(plan.mode)
        self._homes = {file.relative: self._home(file) for file in plan.files if file.moves}
        self._companions = {
            companion: home
            for companion in plan.companions
            for home in (self._companion_home(companion),)
            if home == companion.source or not os.path.lexists(home)
        }
        moves = [
            *(PlannedMove(f.source, f.relative, f.expected) for f in plan.files if f.moves),
            *(PlannedMove(c.source, c.relative, Expected.by_head(c.source)) for c in self._companions),
        ]
        self._moves = {move.source: move for move in moves}

    def build(
        self, extra_files: Callable[[FolderPlan], Mapping[str, bytes]], most: Mapping[str, int]
    ) -> FolderPlan:
        make_folder(self._tree)
        write_marker(self._tree, replace(self._marker, moves=len(self._moves)), self._owner)
        for cluster in sorted({file.placement.cluster for file in self._plan.files if not file.stays}):
            make_folder(f"{self._tree}/{self._plan.folder(cluster)}")
        with contextlib.closing(self.placer):
            files, companions = self._place_files()
        plan = replace(self._plan, files=files, companions=companions)
        for relative, data in extra_files(plan).items():
            self._write(below(f"./{relative}"), data, most.get(relative, 0o777))
        permit_as(self._tree, self._plan.out)
        if self.placer.used["copy"]:
            sync_all(self._tree)
        finished = replace(self._marker, building=False, files=self._own | self._away)
        write_marker(self._tree, finished, self._owner)
        return plan

    def _place_files(self) -> tuple[tuple[PlannedFile, ...], tuple[Companion, ...]]:
        """Place all, and return the files and companions as they lie."""
        if self._moves:
            self._journal = MoveJournal(self._tree, self._marker.name, self._moves.values(), self._owner)
        self._progress.begin("making the cluster folders", len(self._plan.files))
        placed: dict[str, PlannedFile] = {}
        for count, file in enumerate(self._plan.files, start=1):
            placed[file.relative] = self._place(file)
            if count % _REPORT_EVERY == 0:
                self._progress.advance(_REPORT_EVERY)
            if self._progress.stopping:
                raise KeyboardInterrupt
        companions = []
        for companion, home in self._companions.items():
            image = placed[companion.image].relative
            relative = companion.relative if image == companion.image else companion.beside(image)
            companions.append(replace(companion, relative=relative, image=image))
            self._move(companion.source, relative)
            self._own[relative] = OwnFile.at(
                f"{self._tree}/{relative}", "companion", "", self._texts.text(home)
            )
        self._progress.advance(len(self._plan.files) % _REPORT_EVERY)
        return tuple(placed.values()), tuple(companions)

    def _place(self, file: PlannedFile) -> PlannedFile:
        """Put a file in its place, under another name where its own is refused."""
        try:
            self._put(file)
        except OSError as error:
            if not is_refused_name(file.relative, error):
                raise
            file = self._renamed(file)
            self._put(file)
            self.placer.renamed += 1
        return file

    def _renamed(self, file: PlannedFile) -> PlannedFile:
        folder, name = os.path.split(file.relative)
        others = substitutes(portable_name(name), file.placement.key.hex()[:8])
        relative = next(
            path
            for other in others
            for path in (f"{folder}/{other}",)
            if not os.path.lexists(f"{self._tree}/{path}")
        )
        path = f"{self._plan.out}/{relative}" if file.moves else file.placement.path
        self._homes[relative] = self._homes.get(file.relative, "")
        return replace(file, relative=relative, placement=replace(file.placement, path=path))

    def _put(self, file: PlannedFile) -> None:
        target = f"{self._tree}/{file.relative}"
        if file.moves:
            self._move(file.source, file.relative)
            self._note(file, target, "moved")
        elif file.stays:
            return
        elif file.kept:
            self.placer.keep(file.source, target, file.kept)
            self._note(file, target, file.kept.kind)
        else:
            folder, origin = os.path.dirname(file.relative), self._texts.text(file.placement.path)
            self._own[file.relative] = self.placer.place(
                file.source, target, f"{self._plan.out}/{folder}", file.expected, origin
            )

    def _move(self, source: str, relative: str) -> None:
        assert self._journal is not None  # noqa: S101 - it is there where something moves
        move = self._moves[source]
        if relative != move.relative:
            move = replace(move, relative=relative)
            self._journal.add(move)
        self.placer.changed += not self._journal.move(move)

    def _note(self, file: PlannedFile, target: str, kind: Kind) -> None:
        placement = file.placement
        source = self._texts.text(self._homes[file.relative] if kind == "moved" else placement.path)
        self._own[file.relative] = OwnFile.at(target, kind, placement.key.hex(), source)

    def _home(self, file: PlannedFile) -> str:
        """Return where an image that is moved goes back to, which only a clustering of this user's may say.

        A table without a marker is not believed: then it goes back to where it lay.
        """
        original, key = file.placement.original, file.placement.key.hex()
        if original == file.source or os.path.realpath(original) == file.source:
            return original
        return original if (original, key) in self._homes_around(file.source) else file.source

    def _companion_home(self, companion: Companion) -> str:
        """Return where a companion goes back to.

        One that was put beside a moved image since goes home with it only where it is this user's, and of a
        kind that programs write there: anybody can give a file the name of an image, and any ending.
        """
        home, source = companion.beside(self._homes[companion.image]), companion.source
        known = home == source or (home, "") in self._homes_around(source)
        return home if known or (is_companion(source) and is_mine(os.lstat(source))) else source

    def _homes_around(self, path: str) -> frozenset[tuple[str, str]]:
        folder = os.path.dirname(path)
        while (known := self._homes_in(folder)) is None and folder != "/":
            folder = os.path.dirname(folder)
        return known or frozenset()

    def _homes_in(self, folder: str) -> frozenset[tuple[str, str]] | None:
        """Give homes and keys of what was moved into a clustering; None where it is none."""
        if folder not in self._known_homes:
            self._known_homes[folder] = None
            found = look(folder, self._owner)
            found.refuse_foreign(folder)
            if found.marker is not None:
                files = found.marker.files.values()
                homes = ((own.original(folder), own.key) for own in files if own.has_a_home)
                self._known_homes[folder] = frozenset(homes)
        return self._known_homes[folder]

    def _write(self, relative: str, data: bytes, most: int) -> None:
        target = f"{self._tree}/{relative}"
        make_folders(os.path.dirname(target))
        with at(target) as place:
            write_durably(place, data, most=most)
        self._own[relative] = OwnFile.at(target, "written", hashlib.sha256(data).hexdigest())


def _images_away(plan: FolderPlan, old: Marker) -> dict[str, OwnFile]:
    """Return the moved images of the old clustering that have no part in the new one and are not at home.

    Most go home when the old tree is swept. Those that do not, because their place is taken or because nobody
    knows where they are, stay known.
    """
    moved = {(f.placement.original, f.placement.key.hex()) for f in plan.files if f.moves}
    away = (
        own
        for own in old.files.values()
        if own.kind == "moved"
        and (own.original(plan.out), own.key) not in moved
        and not own.has_its_original(plan.out)
    )
    return {f"{AWAY}/{number}": own for number, own in enumerate(away)}


def _sweep(out: str, progress: Progress, owner: Ownership) -> None:
    if os.path.lexists(new_tree(out)):
        progress.begin("clearing away the old clusters")
    try:
        settle(out, progress.note, owner)
    except (OSError, ImgclusterError) as error:
        progress.note(
            f"the new clusters are in place; the old ones in {new_tree(out)} could not be removed: {error}"
        )
    except KeyboardInterrupt:
        settle(out, progress.note, owner)
        raise


@contextlib.contextmanager
def _existing(folder: str) -> Iterator[None]:
    """Make `folder`, and take it away again where nothing came of it."""
    made = []
    while not os.path.isdir(folder):
        made.append(folder)
        folder = os.path.dirname(folder)
    try:
        for path in reversed(made):
            make_folder(path)
        yield
    except OSError as error:
        raise ImgclusterError(
            f"cannot write {error.filename2 or error.filename}: {error.strerror}"
        ) from error
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                remove_folder(path)  # only an empty one goes


def _explained(error: OSError, plan: FolderPlan) -> str:
    # A file that cannot leave its place says so by its own path; all others by that of the place.
    fixed = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS} and error.filename in plan.moving
    what = error.filename if fixed else error.filename2 or error.filename or plan.out
    unchanged = "the clusters are as they were" if plan.files else "all is as it was"
    choose = f"choose another --out{' or --mode' * bool(plan.files)}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        size = f" ({plan.bytes_to_copy:,} bytes to copy)" if plan.files else ""
        return f"no space left on the disk of {plan.out}{size}: free some, or {choose}; {unchanged}"
    is_gone = error.errno == errno.ENOENT and error.filename in plan.moving
    advice = "run the command again" if is_gone or error.errno == errno.ESTALE else choose
    return f"{os.fsdecode(what)}: {error.strerror}; {unchanged}: {advice}"
