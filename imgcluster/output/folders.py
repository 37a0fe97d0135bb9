"""Cluster folders: built beside the output folder, put in its place all at once."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imgcluster.errors import ImgclusterError
from imgcluster.files import write_durably
from imgcluster.output.contents import AWAY
from imgcluster.output.file_system import sync_all
from imgcluster.output.folder_plan import FolderPlan, PlannedFile, check_output, plan_folders
from imgcluster.output.life import check_replaceable, give_up, locked, new_tree, recover, settle, swap_in
from imgcluster.output.link_modes import Placer
from imgcluster.output.marker import Kind, Marker, OwnFile, write_marker
from imgcluster.output.move_journal import MoveJournal, PlannedMove
from imgcluster.output.names import folder_name
from imgcluster.output.paths import PathTexts, below
from imgcluster.records import Progress

__all__ = ["BuiltFolders", "FolderPlan", "build_folders", "check_output", "plan_folders", "recover"]

_REPORT_EVERY = 64


@dataclass(frozen=True)
class BuiltFolders:
    """What was made: how many files went each way.

    The ways are ``hardlink``, ``reflink``, ``symlink``, ``copy`` and ``move``. `fallbacks` counts those that
    could not go the way that the mode asks for first.
    """

    mode: str
    ways: dict[str, int]
    fallbacks: int


def build_folders(
    plan: FolderPlan,
    *,
    force: bool = False,
    extra_files: Mapping[str, bytes] | None = None,
    progress: Progress,
) -> BuiltFolders:
    """Make the folders of `plan`, with `extra_files` (by path below the output folder) beside them.

    All or nothing: the old clusters stay as they were until the new ones are complete, then the two change
    places. Only what our marker says is ours is ever removed.

    Parameters
    ----------
    force
        Replace also where others' files lie in the output folder; they are moved along.

    Raises
    ------
    ImgclusterError
        When something in the output folder is not ours (named), or could not be written or read.
    KeyboardInterrupt
        When `progress` says that the user wants to stop; as after Ctrl-C itself, nothing is changed then.
    """
    parent = os.path.dirname(plan.out)
    with _existing(parent), locked(plan.out, progress.note):
        settle(plan.out, progress.note)
        old = check_replaceable(plan.out, {f.source for f in plan.files if f.moves}, force=force)
        try:
            placer = _Builder(plan, old, progress).build(extra_files or {})
            swap_in(plan.out)
        except BaseException as error:
            give_up(plan.out, progress.note)
            if isinstance(error, OSError):
                raise ImgclusterError(_explained(error, plan)) from error
            raise
        _sweep(plan.out, progress)
    if placer.fallbacks:
        progress.note(placer.summary())
    moved = sum(file.moves for file in plan.files)
    ways = dict(placer.used) | ({"move": moved} if moved else {})
    return BuiltFolders(plan.mode, ways, placer.fallbacks)


class _Builder:
    """Fills the new tree, and notes each file in its marker."""

    def __init__(self, plan: FolderPlan, old: Marker | None, progress: Progress) -> None:
        self._plan = plan
        self._tree = new_tree(plan.out)
        self._generation = 1 if old is None else old.generation + 1
        self._progress = progress
        self._own: dict[str, OwnFile] = {}
        self._away = {} if old is None else _images_away(plan, old)
        self._texts = PathTexts(plan.out)
        self._placer = Placer(plan.mode)
        self._moves = [PlannedMove(file.source, file.relative) for file in plan.files if file.moves]

    def build(self, extra_files: Mapping[str, bytes]) -> Placer:
        os.mkdir(self._tree)
        write_marker(self._tree, Marker(self._generation, building=True, moves=len(self._moves)))
        for cluster in self._plan.sizes:
            os.mkdir(f"{self._tree}/{folder_name(cluster)}")
        self._place_files()
        for relative, data in extra_files.items():
            self._write(below(f"./{relative}"), data)
        with contextlib.suppress(FileNotFoundError):
            os.chmod(self._tree, stat.S_IMODE(os.stat(self._plan.out).st_mode))
        if self._placer.used["copy"]:
            sync_all(self._tree)
        write_marker(self._tree, Marker(self._generation, building=False, files=self._own | self._away))
        return self._placer

    def _place_files(self) -> None:
        journal = MoveJournal(self._tree, self._moves) if self._moves else None
        self._progress.begin("making the cluster folders", len(self._plan.files))
        for count, file in enumerate(self._plan.files, start=1):
            target = f"{self._tree}/{file.relative}"
            if journal is not None and file.moves:
                journal.move(PlannedMove(file.source, file.relative))
                self._note(file, target, "moved")
            else:
                folder = f"{self._plan.out}/{folder_name(file.placement.cluster)}"
                self._note(file, target, self._placer.place(file.source, target, folder, file.device))
            if count % _REPORT_EVERY == 0:
                self._progress.advance(_REPORT_EVERY)
            if self._progress.stopping:
                raise KeyboardInterrupt
        self._progress.advance(len(self._plan.files) % _REPORT_EVERY)

    def _note(self, file: PlannedFile, target: str, kind: Kind) -> None:
        placement = file.placement
        source = self._texts.text(placement.original if kind == "moved" else placement.path)
        self._own[file.relative] = OwnFile.at(target, kind, placement.key.hex(), source)

    def _write(self, relative: str, data: bytes) -> None:
        target = f"{self._tree}/{relative}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        write_durably(target, data)
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


def _sweep(out: str, progress: Progress) -> None:
    if os.path.lexists(new_tree(out)):
        progress.begin("clearing away the old clusters")
    try:
        settle(out, progress.note)
    except (OSError, ImgclusterError) as error:
        progress.note(
            f"the new clusters are in place; the old ones in {new_tree(out)} could not be removed: {error}"
        )
    except KeyboardInterrupt:
        settle(out, progress.note)
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
            os.mkdir(path)
        yield
    except OSError as error:
        raise ImgclusterError(
            f"cannot write {error.filename2 or error.filename}: {error.strerror}"
        ) from error
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                os.rmdir(path)  # only an empty one goes


def _explained(error: OSError, plan: FolderPlan) -> str:
    what = error.filename2 or error.filename or plan.out
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"no space left on the disk of {plan.out} ({plan.bytes_to_copy:,} bytes to copy): "
            "free some, or choose another --mode or --out; the clusters are as they were"
        )
    reason = f"{os.fsdecode(what)}: {error.strerror}"
    return f"{reason}; the clusters are as they were: choose another --out or --mode"
