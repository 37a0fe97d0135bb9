"""Shares, sticks and mounted folders refuse things; what can be done there is done, and the rest is said."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster_files import Recorder, contents, images, make, photograph, placed

from imgcluster import held
from imgcluster.errors import ImgclusterError
from imgcluster.output.folder_plan import check_output, refuse_place
from imgcluster.output.manifest import read_assignments
from imgcluster.output.marker import read_marker
from imgcluster.output.names import portable_name
from imgcluster.output.undo import undo


def refusing(
    function: Callable[..., object], refuses: Callable[[str], bool], number: int
) -> Callable[..., object]:
    def refuse(*arguments: object, **more: object) -> object:
        target = [each for each in arguments if isinstance(each, str | held.Held)][-1]
        path = target if isinstance(target, str) else target.path
        folder = more.get("dst_dir_fd", more.get("dir_fd"))
        if refuses(path if folder is None else os.readlink(f"/proc/self/fd/{folder}") + f"/{path}"):
            raise OSError(number, os.strerror(number))
        return function(*arguments, **more)

    return refuse


def never(*_arguments: object, **_more: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture
def exfat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system that refuses some names, as exFAT, NTFS and SMB do."""

    def refuses(path: str) -> bool:
        return path.startswith(f"{tmp_path}/stick/") and bool(set(os.path.basename(path)) & set(':?*"<>|'))

    for module, name in (
        *((os, name) for name in ("link", "open", "rename", "symlink")),
        (held, "_renameat2"),
    ):
        monkeypatch.setattr(module, name, refusing(getattr(module, name), refuses, errno.EINVAL))
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


@pytest.mark.parametrize("mode", ["hardlink", "copy", "symlink", "move"])
def test_a_name_that_is_refused_is_replaced_and_undo_restores_it(
    tmp_path: Path, exfat: Path, mode: str
) -> None:
    files = ("12:30.jpg", "why?.jpg", "why*.jpg", "plain.jpg")
    for name in files:
        photograph(tmp_path / "photos" / name, b"same" if "why" in name else name)
    if mode == "move":
        photograph(tmp_path / "photos" / "12:30.xmp")
    before, progress = contents(tmp_path / "photos"), Recorder()
    sources = [placed(str(tmp_path / "photos" / name)) for name in files]
    make(sources, exfat / "clusters", mode, progress=progress)
    key, same = sources[0].key.hex()[:8], sources[1].key.hex()[:8]
    expected = {f"12_30-{key}.jpg", f"why_-{same}.jpg", f"why_-{same}-2.jpg", "plain.jpg"}
    expected |= {f"12_30-{key}.xmp"} if mode == "move" else set()
    assert {os.path.basename(name) for name in images(exfat / "clusters")} == expected
    (said,) = [note for note in progress.notes if "not possible there" in note]
    assert said.startswith("3 names are not possible there")
    assert not any("instead" in note for note in progress.notes)
    assert all(os.path.exists(image.shown) for image in read_assignments(str(exfat / "clusters")))
    if mode == "move":
        assert all(os.path.exists(image.path) for image in read_assignments(str(exfat / "clusters")))
    undo(str(exfat / "clusters"), progress=Recorder())
    assert contents(tmp_path / "photos") == before


def test_an_interrupted_move_to_other_names_is_undone_as_well(
    tmp_path: Path, exfat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [placed(photograph(tmp_path / "photos" / name)) for name in ("a:.jpg", "b:.jpg", "c.jpg")]
    before, progress = contents(tmp_path / "photos"), Recorder()
    monkeypatch.setattr("imgcluster.output.folders.swap_in", refusing(print, lambda _: True, errno.EIO))
    with pytest.raises(ImgclusterError, match="Input/output error"):
        make(sources, exfat / "clusters", "move", progress=progress)
    assert contents(tmp_path / "photos") == before
    assert progress.notes == ["3 images moved back: all images are where they were"]


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("plain é.jpg", "plain é.jpg"),
        ('a<b>c:d"e|f?g*h.jpg', "a_b_c_d_e_f_g_h.jpg"),
        ("ends. ", "ends__"),
        ("con", "_con"),
        ("LPT1.jpg", "_LPT1.jpg"),
        ("two\nlines", "two_lines"),
        ("   ", "_"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf_.jpg"),
    ],
)
def test_portable_names(name: str, portable: str) -> None:
    assert portable_name(name) == portable
    assert portable_name(portable) == portable


@pytest.mark.parametrize("refused", [("utime",), ("fchmod",), ("utime", "fchmod", "chmod")])
@pytest.mark.parametrize("mode", ["copy", "auto"])
def test_times_and_permissions_that_a_share_refuses_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, refused: tuple[str, ...]
) -> None:
    for name in refused:
        monkeypatch.setattr(os, name, never)
    monkeypatch.setattr(os, "link", refusing(os.link, lambda _: True, errno.EXDEV))
    sources = [placed(photograph(tmp_path / "photos" / f"{n}.jpg")) for n in range(3)]
    progress = Recorder()
    make(sources, tmp_path / "clusters", mode, progress=progress)
    assert len(images(tmp_path / "clusters")) == 3
    assert "times or permissions of 3 copies could not be kept there" in progress.notes
    make(sources, tmp_path / "clusters", mode)
    undo(str(tmp_path / "clusters"), progress=Recorder())
    assert not (tmp_path / "clusters").exists()


def test_so_are_those_of_images_that_move_to_another_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [placed(photograph(tmp_path / "photos" / f"{n}.jpg")) for n in range(3)]
    before, progress = contents(tmp_path / "photos"), Recorder()
    rename = held._renameat2

    def across(source: held.Held, target: held.Held, flags: int) -> None:
        if ("/photos/" in source.path) != ("/photos/" in target.path):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, flags)

    monkeypatch.setattr(held, "_renameat2", across)
    monkeypatch.setattr(os, "utime", never)
    make(sources, tmp_path / "clusters", "move", progress=progress)
    assert "times or permissions of 3 copies could not be kept there" in progress.notes
    undo(str(tmp_path / "clusters"), progress=Recorder())
    assert contents(tmp_path / "photos") == before


@pytest.fixture(params=["no function", "no system call"])
def without_renameat2(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library that has no renameat2, an old one; or a kernel, as a sandbox may stand for one."""

    class Library:
        def __getattr__(self, name: str) -> object:
            if name == "renameat2" and request.param == "no function":
                raise AttributeError(name)
            return refused if name == "renameat2" else getattr(library, name)

    def refused(*_: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1

    library = held._libc
    monkeypatch.setattr(held, "_libc", Library())


@pytest.mark.usefixtures("without_renameat2")
def test_without_its_system_call_a_rename_never_replaces(tmp_path: Path) -> None:
    source = photograph(tmp_path / "source")
    photograph(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    before = contents(tmp_path / "folder"), Path(source).read_bytes(), (tmp_path / "file").read_bytes()
    for name in ("file", "folder", "link"):
        with pytest.raises(FileExistsError):
            held.rename_new(source, str(tmp_path / name))
    after = contents(tmp_path / "folder"), Path(source).read_bytes(), (tmp_path / "file").read_bytes()
    assert after == before
    assert not held.exchange(source, str(tmp_path / "file"))
    held.rename_new(source, str(tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == before[1]


def test_on_macos_the_call_of_macos_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sys, "platform", "darwin")
    library = SimpleNamespace(renameatx_np=lambda *arguments: asked.append(arguments) or 0)
    monkeypatch.setattr(held, "_libc", library)
    held.rename_new(str(tmp_path / "source"), str(tmp_path / "new"))
    assert held.exchange(str(tmp_path / "source"), str(tmp_path / "new"))
    assert [(old, new) for _, old, _, new, _ in asked] == [(b"source", b"new")] * 2


@pytest.mark.usefixtures("without_renameat2")
@pytest.mark.parametrize("mode", ["hardlink", "move"])
def test_without_it_clusterings_are_made_replaced_and_undone(tmp_path: Path, mode: str) -> None:
    sources = [placed(photograph(tmp_path / "photos" / f"{n}.jpg"), n % 2) for n in range(4)]
    before, out = contents(tmp_path), tmp_path / "clusters"
    make(sources, out, mode)
    moved = [
        placed(str(out / path), 0, str(tmp_path / "photos" / os.path.basename(path))) for path in images(out)
    ]
    make(moved if mode == "move" else sources[:3], out, mode)
    assert len(images(out)) == len(moved if mode == "move" else sources[:3])
    undo(str(out), progress=Recorder())
    assert contents(tmp_path) == before


def test_where_permissions_are_not_kept_at_all_a_clustering_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))

    def unsupported(*_arguments: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "fchmod", unsupported)
    for mode in ("copy", "hardlink"):
        make([source], tmp_path / "clusters", mode)
        make([source], tmp_path / "clusters", mode, extra_files={"page.html": b""})
    undo(str(tmp_path / "clusters"), progress=Recorder())
    assert not (tmp_path / "clusters").exists()


@contextmanager
def mounted(*arguments: str) -> Iterator[None]:
    if os.geteuid() or subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True)


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_point_is_refused_before_any_work(tmp_path: Path, kind: str) -> None:
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    out, other = tmp_path / "the volume", tmp_path / "other"
    out.mkdir()
    other.mkdir()
    options = ("-t", "tmpfs", "none") if kind == "tmpfs" else ("--bind", str(other))
    with mounted(*options, str(out)):
        with pytest.raises(ImgclusterError, match=r"is a mount point, .*name a folder in it"):
            check_output([source], str(out), "copy", force=False)
        make([source], out / "clusters", "copy")
        undo(str(out / "clusters"), progress=Recorder())


def test_a_place_below_a_file_or_of_too_long_a_name_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(ImgclusterError, match="file is a file: choose another --out"):
        refuse_place(str(tmp_path / "file" / "clusters"))
    with pytest.raises(ImgclusterError, match="File name too long; name another folder"):
        read_marker(str(tmp_path / ("a" * 256)))


def test_a_parent_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    (tmp_path / "parent").mkdir()
    with mounted("-t", "tmpfs", "-o", "ro", "none", str(tmp_path / "parent")):
        for out in (tmp_path / "parent" / "clusters", tmp_path / "parent" / "new" / "clusters"):
            with pytest.raises(ImgclusterError, match="parent cannot be written to: name another folder"):
                check_output([source], str(out), "auto", force=False)


def test_a_folder_that_nothing_can_be_moved_out_of_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, access = placed(photograph(tmp_path / "photos" / "a.jpg")), os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode, **more: path != f"{tmp_path}/photos" and access(path, mode, **more)
    )
    for act in (
        lambda: check_output([source], str(tmp_path / "clusters"), "move", force=False),
        lambda: make([source], tmp_path / "clusters", "move"),
    ):
        with pytest.raises(
            ImgclusterError, match=rf"^{tmp_path}/photos cannot be written to, so .*: make it writable$"
        ):
            act()
    make([source], tmp_path / "clusters", "copy")


def test_a_file_that_cannot_leave_its_folder_is_named_and_not_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder in which each may remove his own files alone."""
    source, rename = photograph(tmp_path / "photos" / "a.jpg"), held._renameat2

    def refuse(one: held.Held, other: held.Held, flags: int) -> None:
        if one.path == source:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), one.path, None, other.path)
        rename(one, other, flags)

    monkeypatch.setattr(held, "_renameat2", refuse)
    with pytest.raises(ImgclusterError, match=rf"^{source}: Operation not permitted; the clusters are as"):
        make([placed(source)], tmp_path / "clusters", "move")
    assert os.listdir(tmp_path) == ["photos"]
