"""S10: somebody exchanges a folder for a link while a command works in it: nothing elsewhere is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cluster_files import contents, make, photograph, placed
from interruption import Interruption

from imgcluster import held
from imgcluster.errors import ImgclusterError
from imgcluster.output.dismantle import carry
from imgcluster.output.life import look, new_tree
from imgcluster.output.staged_install import staged_install
from imgcluster.output.undo import undo
from imgcluster.records import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Callable

STRANGER = 12345
NAMES = [f"{number}.jpg" for number in range(4)]


class World:
    """A clustering, what it was made of, and a private folder in which all names lie that it knows."""

    def __init__(self, root: Path, mode: str) -> None:
        self.root, self.out = root, root / "shared" / "clusters"
        self.photos, self.private = root / "shared" / "photos", root / "private"
        self.mode = mode
        for name in NAMES:
            photograph(self.photos / name, f"image {name}")
        self.cluster(["0", "1"])
        shutil.copytree(self.out, self.private / "clusters")
        shutil.copytree(self.photos, self.private / "photos", dirs_exist_ok=True)
        for folder in (self.private / "clusters", self.private / "clusters" / "0", self.private / "photos"):
            for name in (*NAMES, "report.html", "report/page.html", ".imgcluster.json", ".imgcluster-moves"):
                photograph(folder / name, f"private {name}")
        for path in self.private.rglob("*"):
            if path.is_file():
                path.write_bytes(b"private" + path.read_bytes())

    def cluster(self, clusters: list[str]) -> None:
        now = {path.name: path for path in self.photos.parent.glob("*/**/*.jpg")}
        original = {name: str(self.photos / name) for name in now}
        placements = [
            placed(str(path), int(clusters[number % len(clusters)]), original[name])
            for number, (name, path) in enumerate(sorted(now.items()))
        ]
        make(placements, self.out, self.mode, force=True)

    def report(self) -> Callable[[], object]:
        """Write pages; what puts them in their place."""
        marker = look(str(self.out)).marker
        install = staged_install(str(self.out), ("report", "report.html"), marker, lambda _: None)
        made = install.__enter__()
        photograph(f"{made}/report/page.html")
        photograph(f"{made}/report.html")
        return lambda: install.__exit__(None, None, None)

    def undo(self) -> None:
        undo(str(self.out), progress=SilentProgress())

    def command(self, name: str) -> Callable[[], object]:
        if name == "first":
            self.undo()
            return lambda: self.cluster(["0", "1"])
        if name == "report":
            return self.report()
        return self.undo if name == "undo" else lambda: self.cluster(["1", "0", "2"])


CASES = [
    ("shared", "undo", "move"),
    ("shared/clusters", "cluster", "copy"),
    ("shared/clusters", "report", "copy"),
    ("shared/clusters/0", "undo", "copy"),
    ("shared/clusters/0", "cluster", "move"),
    ("shared/photos", "undo", "move"),
    ("shared/photos", "first", "move"),
    ("shared/photos", "first", "hardlink"),
    ("shared/photos", "first", "copy"),
    ("{new}", "cluster", "move"),
    ("{new}/0", "cluster", "copy"),
]


def exchange(folder: Path, private: Path) -> None:
    """Put a link of somebody else's in the place of a folder; it leads where the same names lie."""
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(folder.with_name(f"{folder.name}-away"))
        folder.symlink_to(private)
        os.lchown(folder, STRANGER, STRANGER)


def attacked(root: Path, where: str, command: str, mode: str, at: int) -> Interruption:
    """Run a command, exchange the folder before its step `at`, and look at what became of all others."""
    world = World(root, mode)
    folder = world.root / where.format(new=os.path.relpath(new_tree(str(world.out)), world.root))
    names = {"shared": "", "0": "clusters/0", "photos": "photos"}
    leads_to = world.private / names.get(folder.name, "clusters")
    run, before = world.command(command), contents(world.private)
    with pytest.MonkeyPatch.context() as patch:
        step = Interruption(patch.setattr, at, lambda: exchange(folder, leads_to))
        if at % 2:  # as where the kernel cannot
            patch.setattr(held, "_opened_at_once", lambda _: -1)
        with contextlib.suppress(ImgclusterError, OSError):
            run()
    assert contents(world.private) == before
    shutil.rmtree(world.private)
    files = (Path(parent, name) for parent, _, names in os.walk(world.root) for name in names)
    assert not [path for path in files if not path.is_symlink() and b"private" in path.read_bytes()]
    shutil.rmtree(world.root)
    return step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize(("where", "command", "mode"), CASES)
def test_a_folder_that_becomes_a_link_leads_nowhere(
    tmp_path: Path, where: str, command: str, mode: str
) -> None:
    steps = attacked(tmp_path / "count", where, command, mode, 0).count
    assert steps > 8
    for at in range(2, steps, max(1, steps // 6) | 1):
        attacked(tmp_path / str(at), where, command, mode, at)


@pytest.mark.parametrize("lies", ["a link", "a file"])
def test_what_has_nowhere_to_go_stays_and_is_no_endless_search(tmp_path: Path, lies: str) -> None:
    """`kept`, `kept-2` and so on are refused alike where the folder itself became a link."""
    image, out = photograph(tmp_path / "tree" / "a.jpg"), tmp_path / "clusters"
    (tmp_path / "private").mkdir()
    if lies == "a link":
        out.symlink_to(tmp_path / "private")
    else:
        out.touch()
    with pytest.raises(held.WayRefusedError):
        carry(image, str(out), "kept/a.jpg")
    assert Path(image).exists()
    assert not list((tmp_path / "private").iterdir())


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize("mode", ["move", "copy", "hardlink", "symlink"])
@pytest.mark.parametrize("command", ["first", "cluster", "undo", "report"])
@pytest.mark.parametrize("where", sorted({where for where, _, _ in CASES}))
def test_at_no_step_does_it_lead_anywhere(tmp_path: Path, where: str, command: str, mode: str) -> None:
    at = 1
    while attacked(tmp_path / str(at), where, command, mode, at).happened:
        at += 1


@pytest.mark.parametrize("command", ["undo", "cluster"])
def test_what_takes_the_place_of_a_moved_image_does_not_go_home(tmp_path: Path, command: str) -> None:
    """Somebody who may write to the clustering exchanges an image for a file of the same size and time."""
    at, happened = 1, True
    while happened:
        world = World(tmp_path / str(at), "move")

        def exchange(out: Path = world.out) -> None:
            for image in out.rglob("*.jpg"):
                status, other = image.stat(), image.with_name("other")
                other.write_bytes(b"other".ljust(status.st_size))
                os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
                other.rename(image)

        with pytest.MonkeyPatch.context() as patch:
            step = Interruption(patch.setattr, at, exchange)
            with contextlib.suppress(ImgclusterError, OSError):
                world.command(command)()
        assert b"other" not in [path.read_bytes()[:5] for path in world.photos.iterdir()], at
        happened = step.happened
        at += 1
    assert at > 8
