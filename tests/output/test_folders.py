from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cluster_files import NAMES, Recorder, contents, images, make, names_in, photograph, placed

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.output.folders import build_folders, plan_folders
from imgcluster.output.manifest import read_assignments
from imgcluster.output.trust import take_over
from imgcluster.output.undo import undo
from imgcluster.ownership import IN_MEMORY
from imgcluster.records import CLUSTERING_MARKER, SilentProgress

MODES = ("auto", "hardlink", "symlink", "copy", "move")


@pytest.fixture(scope="module")
def other_disk(tmp_path_factory):
    """A folder on another file system than the temporary one."""
    here = tmp_path_factory.getbasetemp()
    for candidate in ("/dev/shm", "/var/tmp", "/tmp"):
        if os.path.isdir(candidate) and os.stat(candidate).st_dev != os.stat(here).st_dev:
            folder = Path(candidate) / f"imgcluster-test-{os.getpid()}"
            folder.mkdir()
            yield folder
            shutil.rmtree(folder)
            return
    pytest.skip("there is only one file system here")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("mode", MODES)
def test_every_name_arrives_in_every_mode_and_comes_back(tmp_path, mode, name):
    source = photograph(tmp_path / "photos" / name, b"bytes")
    make([placed(source)], tmp_path / "clusters", mode)
    assert images(tmp_path / "clusters") == {f"0/{name}": b"bytes"}
    assert os.path.exists(source) == (mode != "move")
    (placement,) = read_assignments(str(tmp_path / "clusters"))
    assert placement.original == source
    assert contents(os.path.dirname(placement.path)) == {name: b"bytes"}

    undo(str(tmp_path / "clusters"), progress=SilentProgress())
    assert names_in(tmp_path) == ["photos"]
    assert contents(tmp_path / "photos") == {name: b"bytes"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("mode", MODES)
def test_every_name_arrives_on_another_disk_in_every_mode(tmp_path, other_disk, mode, name):
    source = photograph(tmp_path / "photos" / name, b"bytes")
    out = other_disk / "clusters"
    make([placed(source)], out, mode)
    assert images(out) == {f"0/{name}": b"bytes"}
    assert os.path.exists(source) == (mode != "move")
    undo(str(out), progress=SilentProgress())
    assert names_in(other_disk) == []
    assert contents(tmp_path / "photos") == {name: b"bytes"}


@pytest.mark.parametrize("mode", ["hardlink", "copy", "move"])
def test_inode_numbers_may_change_and_bytes_decide_then(tmp_path, mode):
    # FAT and shares give a file another number once the system has forgotten it.
    sources = [photograph(tmp_path / "photos" / f"{i}.jpg") for i in range(3)]
    out, before = tmp_path / "clusters", contents(tmp_path / "photos")
    plan = plan_folders([placed(source) for source in sources], str(out), mode)
    numbers = [
        replace(file, expected=replace(seen, identity=(seen.identity[0] + 1, *seen.identity[1:])))
        for file in plan.files
        for seen in (file.expected,)
    ]
    plan = replace(plan, files=tuple(numbers))
    status = os.stat(sources[2])
    for data in (b"x" * status.st_size, os.fsencode(sources[2])):
        Path(sources[2]).write_bytes(data)
        os.utime(sources[2], ns=(status.st_atime_ns, status.st_mtime_ns))
        if data[:1] == b"x":
            with pytest.raises(ImgclusterError, match=r"2\.jpg: was changed or exchanged"):
                build_folders(plan, progress=SilentProgress())
            assert names_in(tmp_path) == ["photos"]
    assert contents(tmp_path / "photos") == before
    build_folders(plan, progress=SilentProgress())
    assert images(out) == {f"0/{name}": data for name, data in before.items()}
    undo(str(out), progress=SilentProgress())
    assert contents(tmp_path / "photos") == before


def test_what_each_mode_means_for_the_file(tmp_path):
    source = photograph(tmp_path / "photos" / "a.jpg")
    os.chmod(source, 0o640)
    os.utime(source, ns=(10**18, 10**18 + 1))
    before = os.stat(source)
    for mode in MODES:
        make([placed(source)], tmp_path / mode, mode)
        there = os.lstat(tmp_path / mode / "0" / "a.jpg")
        assert (there.st_ino == before.st_ino) == (mode in {"auto", "hardlink", "move"})
        assert stat.S_ISLNK(there.st_mode) == (mode == "symlink")
        if mode != "symlink":
            assert (there.st_mtime_ns, there.st_mode) == (before.st_mtime_ns, before.st_mode)


def test_symlinks_are_relative_so_that_the_tree_can_move(tmp_path):
    source = photograph(tmp_path / "tree" / "photos" / "a.jpg")
    make([placed(source)], tmp_path / "tree" / "clusters", "symlink")
    (tmp_path / "tree").rename(tmp_path / "elsewhere")
    assert images(tmp_path / "elsewhere" / "clusters")
    (placement,) = read_assignments(str(tmp_path / "elsewhere" / "clusters"))
    assert placement.path == str(tmp_path / "elsewhere" / "photos" / "a.jpg")


def test_other_disk_is_said_once_and_counted(tmp_path, other_disk):
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg")) for i in range(3)]
    progress = Recorder()
    built = make(sources, other_disk / "copied", "hardlink", progress=progress)
    assert built.fallbacks == 3
    assert progress.notes == [
        "3 of 3 files could not be hard-linked (Invalid cross-device link): 3 copied instead"
    ]
    assert (progress.steps, progress.total) == (3, 3)
    undo(str(other_disk / "copied"), progress=progress)


@pytest.mark.parametrize(
    ("mode", "call", "number"),
    [("hardlink", "link", errno.EPERM), ("auto", "link", errno.EMLINK), ("symlink", "symlink", errno.EPERM)],
)
def test_links_that_are_refused_become_copies(tmp_path, monkeypatch, mode, call, number):
    def refuse(source, target, **_):
        raise OSError(number, os.strerror(number), source, None, target)

    monkeypatch.setattr(os, call, refuse)
    source = photograph(tmp_path / "photos" / "a.jpg", b"bytes")
    progress = Recorder()
    assert make([placed(source)], tmp_path / "clusters", mode, progress=progress).fallbacks == 1
    assert images(tmp_path / "clusters") == {"0/a.jpg": b"bytes"}
    assert len(progress.notes) == 1


def test_an_error_that_is_no_refusal_is_not_papered_over_by_a_copy(tmp_path, monkeypatch):
    def fail(source, target, **_):
        raise OSError(errno.EIO, os.strerror(errno.EIO), source, None, target)

    monkeypatch.setattr(os, "link", fail)
    source = photograph(tmp_path / "photos" / "a.jpg")
    with pytest.raises(ImgclusterError, match="Input/output error"):
        make([placed(source)], tmp_path / "clusters", "hardlink")
    assert names_in(tmp_path) == ["photos"]


def test_same_names_are_told_apart_and_none_is_lost(tmp_path):
    sources = [
        photograph(tmp_path / "photos" / name, data)
        for name, data in [
            ("a/IMG_0001.jpg", b"one"),
            ("b/IMG_0001.jpg", b"two"),
            ("c/img_0001.JPG", b"three"),
            ("d/IMG_0001.jpg", b"one"),
            ("e/other.jpg", b"other"),
        ]
    ]
    make([placed(source) for source in sources], tmp_path / "clusters")
    found = images(tmp_path / "clusters")
    assert sorted(found.values()) == [b"one", b"one", b"other", b"three", b"two"]
    assert len({path.casefold() for path in found}) == 5
    assert "0/other.jpg" in found
    again = tmp_path / "again"
    make([placed(source) for source in reversed(sources)], again)
    assert images(again) == found


def test_a_clustering_is_replaced_as_a_whole(tmp_path):
    sources = [photograph(tmp_path / "photos" / f"{i}.jpg") for i in range(4)]
    out = tmp_path / "clusters"
    make([placed(s, i) for i, s in enumerate(sources)], out, extra_files={"report/page.html": b"old"})
    make([placed(s) for s in sources], out, "copy")
    assert names_in(out) == [CLUSTERING_MARKER, "0", "assignments.csv"]
    assert names_in(tmp_path) == ["clusters", "photos"]
    assert len(images(out)) == 4


def test_a_foreign_file_stops_the_replacement_and_survives_force(tmp_path):
    source = photograph(tmp_path / "photos" / "a.jpg", b"ours")
    out = tmp_path / "clusters"
    make([placed(source)], out)
    photograph(out / "0" / "mine.txt", b"mine")
    photograph(out / "notes" / "deep" / "x.txt", b"deep")
    photograph(out / "1" / "a.jpg", b"not ours")
    before = contents(out)
    with pytest.raises(ImgclusterError, match=r"clusters/0/mine.txt was not put there"):
        make([placed(source)], out)
    assert contents(out) == before

    make([placed(source, 1)], out, force=True)
    found = contents(out)
    assert found["0/mine.txt"] == b"mine"
    assert found["notes/deep/x.txt"] == b"deep"
    assert found["1/a.jpg"] == b"ours"
    assert found["1/a-kept.jpg"] == b"not ours"
    assert "0/a.jpg" not in found
    assert names_in(tmp_path) == ["clusters", "photos"]


def test_an_edited_copy_is_a_persons_work(tmp_path):
    source = photograph(tmp_path / "photos" / "a.jpg", b"original")
    out = tmp_path / "clusters"
    make([placed(source)], out, "copy")
    photograph(out / "0" / "a.jpg", b"retouched")
    with pytest.raises(ImgclusterError, match=r"0/a.jpg was changed"):
        make([placed(source)], out, "copy")
    make([placed(source)], out, "copy", force=True)
    assert images(out) == {"0/a.jpg": b"original", "0/a-kept.jpg": b"retouched"}


def test_a_copy_that_is_as_it_was_may_have_been_touched_or_restored(tmp_path):
    source = photograph(tmp_path / "photos" / "a.jpg", b"original")
    out = tmp_path / "clusters"
    make([placed(source)], out, "copy")
    shutil.copytree(out, tmp_path / "backup")
    shutil.rmtree(out)
    (tmp_path / "backup").rename(out)
    os.utime(out / "0" / "a.jpg")
    take_over(str(out), [str(tmp_path)], IN_MEMORY, lambda _: None)  # a restored folder is foreign
    make([placed(source, 1)], out, "copy")
    assert images(out) == {"1/a.jpg": b"original"}


@pytest.mark.parametrize("mode", MODES)
def test_an_image_moved_by_hand_is_a_correction(tmp_path, mode):
    sources = [photograph(tmp_path / "photos" / f"{i}.jpg", f"{i}") for i in range(2)]
    out = tmp_path / "clusters"
    make([placed(s, i) for i, s in enumerate(sources)], out, mode)
    (out / "0" / "0.jpg").rename(out / "1" / "0.jpg")
    before = contents(out)
    placements = read_assignments(str(out))
    with pytest.raises(
        ImgclusterError,
        match=r"1/0.jpg was moved by hand from 0/: `imgcluster correct` keeps .*; --force, of .*, gives",
    ):
        make(placements, out, mode)
    assert contents(out) == before
    make(placements, out, mode, force=True)
    everything = list(contents(tmp_path / "photos").values()) + list(images(out).values())
    assert {b"0", b"1"} <= set(everything)
    assert names_in(tmp_path) == ["clusters", "photos"]


def test_a_copy_of_an_image_beside_it_is_no_correction(tmp_path):
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg"), i) for i in range(2)]
    make(sources, tmp_path / "clusters", "copy")
    shutil.copy2(tmp_path / "clusters" / "0" / "0.jpg", tmp_path / "clusters" / "1" / "x.jpg")
    with pytest.raises(ImgclusterError, match=r"1/x.jpg was not put there"):
        make(sources, tmp_path / "clusters", "copy")


def test_a_folder_of_others_is_refused_and_only_added_to_with_force(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg", b"ours"))
    out = tmp_path / "documents"
    photograph(out / "letter.txt", b"letter")
    (out / "empty").mkdir()
    with pytest.raises(ImgclusterError, match=r"documents was not made by imgcluster and holds letter.txt"):
        make([source], out)
    assert names_in(tmp_path) == ["documents", "photos"]
    make([source], out, force=True)
    assert contents(out)["letter.txt"] == b"letter"
    assert images(out) == {"0/a.jpg": b"ours"}
    assert (out / "empty").is_dir()


def test_an_empty_folder_is_used_and_keeps_its_permissions(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    out = tmp_path / "clusters"
    out.mkdir(mode=0o700)
    make([source], out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_missing_parents_are_made_and_a_file_in_the_way_is_refused(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    make([source], tmp_path / "a" / "b" / "clusters")
    assert images(tmp_path / "a" / "b" / "clusters")
    with pytest.raises(ImgclusterError, match="is a file"):
        make([source], photograph(tmp_path / "file"))


def test_what_file_managers_leave_is_no_reason_to_stop(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    make([source], tmp_path / "clusters")
    photograph(tmp_path / "clusters" / "0" / ".DS_Store", b"mac")
    make([source], tmp_path / "clusters")
    assert contents(tmp_path / "clusters")["0/.DS_Store"] == b"mac"


@pytest.mark.parametrize("out", ["photos/sub", "photos", ".", "photos/../photos", "link"])
def test_an_image_folder_or_one_above_is_no_output_folder(tmp_path, out):
    source = placed(photograph(tmp_path / "photos" / "sub" / "a.jpg"))
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(ImgclusterError, match="choose another --out"):
        make([source], tmp_path / out, force=True)
    assert list(contents(tmp_path / "photos")) == ["sub/a.jpg"]


def test_clusters_may_lie_among_the_images(tmp_path):
    source = placed(photograph(tmp_path / "a.jpg"))
    make([source], tmp_path / "clusters")
    make([source], tmp_path / "clusters")
    assert names_in(tmp_path) == ["a.jpg", "clusters"]


@pytest.mark.parametrize("mode", MODES)
def test_a_symlinked_image_is_followed_once_and_its_target_never_touched(tmp_path, mode):
    target = photograph(tmp_path / "far" / "original.jpg", b"bytes")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link.jpg").symlink_to("../far/original.jpg")
    before = os.stat(target)
    make([placed(str(tmp_path / "photos" / "link.jpg"))], tmp_path / "clusters", mode)
    assert images(tmp_path / "clusters") == {"0/link.jpg": b"bytes"}
    there = tmp_path / "clusters" / "0" / "link.jpg"
    assert there.is_symlink() == (mode in {"symlink", "move"})
    assert not there.is_symlink() or os.path.join(there.parent, os.readlink(there)).endswith(
        "far/original.jpg"
    )
    assert (tmp_path / "photos" / "link.jpg").is_symlink()
    undo(str(tmp_path / "clusters"), progress=SilentProgress())
    after = os.stat(target)
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_size,
    )


def test_the_output_folder_may_be_a_link_and_its_own_links_are_not_followed(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    (tmp_path / "real").mkdir()
    (tmp_path / "clusters").symlink_to("real")
    make([source], tmp_path / "clusters")
    assert (tmp_path / "clusters").is_symlink()
    shutil.rmtree(tmp_path / "real" / "0")
    photograph(tmp_path / "outside" / "a.jpg", contents(tmp_path / "photos")["a.jpg"])
    (tmp_path / "real" / "0").symlink_to("../outside")
    with pytest.raises(ImgclusterError, match="0 was not put there"):
        make([source], tmp_path / "clusters")
    make([source], tmp_path / "clusters", force=True)
    undo(str(tmp_path / "clusters"), progress=SilentProgress())
    assert list(contents(tmp_path / "outside")) == ["a.jpg"]


def test_vanished_images_are_listed_and_not_fatal(tmp_path):
    here = placed(photograph(tmp_path / "photos" / "a.jpg"))
    gone = placed(photograph(tmp_path / "photos" / "b.jpg"))
    os.unlink(gone.path)
    plan = plan_folders([here, gone], str(tmp_path / "clusters"), "auto")
    assert plan.missing == (gone.path,)
    assert plan.placements == (here,)


def test_a_plan_tells_bytes_and_writes_nothing(tmp_path, other_disk):
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg", b"x" * 100), i % 2) for i in range(5)]
    elsewhere = str(other_disk / "not" / "yet")
    for out, mode, expected in [
        (str(tmp_path / "c"), "auto", 0),
        (str(tmp_path / "c"), "copy", 500),
        (elsewhere, "auto", 500),
        (elsewhere, "move", 500),
        (elsewhere, "symlink", 0),
    ]:
        plan = plan_folders(sources, out, mode)
        assert plan.bytes_to_copy == expected
    assert names_in(tmp_path) == ["photos"]
    assert names_in(other_disk) == []
    with pytest.raises(UsageError, match="choose one of auto, hardlink, symlink, copy, move"):
        plan_folders(sources, elsewhere, "teleport")


def test_images_moved_before_move_again_and_never_forget_their_origin(tmp_path):
    sources = [photograph(tmp_path / "photos" / f"{i}.jpg", f"{i}") for i in range(4)]
    out = tmp_path / "clusters"
    make([placed(s) for s in sources], out, "move")
    assert contents(tmp_path / "photos") == {}
    for mode in ("move", "auto", "symlink", "copy"):
        placements = [
            placed(p.path, i % 2, original=p.original) for i, p in enumerate(read_assignments(str(out)))
        ]
        make(placements, out, mode)
        assert sorted(images(out).values()) == [b"0", b"1", b"2", b"3"]
        assert [p.original for p in read_assignments(str(out))] == sources
    undo(str(out), progress=SilentProgress())
    assert contents(tmp_path / "photos") == {f"{i}.jpg": f"{i}".encode() for i in range(4)}
    assert names_in(tmp_path) == ["photos"]


def test_a_moved_image_that_has_no_part_in_the_new_clustering_goes_home(tmp_path):
    sources = [photograph(tmp_path / "photos" / f"{i}.jpg", f"{i}") for i in range(3)]
    out = tmp_path / "clusters"
    make([placed(s) for s in sources], out, "move")
    photograph(sources[2], b"another has taken the place")
    progress = Recorder()
    make(read_assignments(str(out))[:1], out, "move", progress=progress)
    assert images(out) == {"0/0.jpg": b"0"}
    assert contents(tmp_path / "photos") == {"1.jpg": b"1", "2.jpg": b"another has taken the place"}
    assert contents(out)["kept/2.jpg"] == b"2"
    assert "kept" in progress.notes[-1]


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_the_last_copy_of_an_image_is_kept_when_its_clustering_goes(tmp_path, mode):
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg", f"{i}")) for i in range(3)]
    out = tmp_path / "clusters"
    make(sources, out, mode)
    os.unlink(sources[0].path)
    for _ in range(2):
        make(sources, out, mode)
        assert images(out) == {"0/1.jpg": b"1", "0/2.jpg": b"2"}
        assert contents(out)["kept/0.jpg"] == b"0"
    os.unlink(sources[1].path)
    undone = undo(str(out), progress=SilentProgress())
    assert contents(out) == {"0/1.jpg": b"1", "kept/0.jpg": b"0"}
    assert undone.left == (str(out / "kept"), str(out / "0" / "1.jpg"))


def test_the_user_may_stop_and_nothing_has_changed(tmp_path):
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg")) for i in range(600)]
    before = contents(tmp_path)

    class Stopping(Recorder):
        stopping = True

    with pytest.raises(KeyboardInterrupt):
        make(sources, tmp_path / "new" / "clusters", "move", progress=Stopping())
    assert contents(tmp_path) == before
    assert names_in(tmp_path) == ["photos"]


def test_a_target_that_cannot_be_written_is_named(tmp_path):
    source = photograph(tmp_path / "photos" / "a.jpg")
    target = tmp_path / "locked"
    target.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    script = (
        "import os, sys\n"
        "from imgcluster.output.folders import *; from imgcluster.records import *\n"
        "from imgcluster.errors import ImgclusterError\n"
        "os.geteuid() or os.seteuid(65534)\n"
        "plan = FolderPlan(sys.argv[1], 'copy', (), ())\n"
        "try: build_folders(plan, progress=SilentProgress())\n"
        "except ImgclusterError as error: print(error)\n"
    )
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", script, target / "clusters"], capture_output=True, text=True, check=True
    )
    assert "locked" in done.stdout
    assert "Permission denied" in done.stdout
    assert names_in(target) == []
    assert os.path.exists(source)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a quarter of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("mode", ["auto", "copy", "move"])
def test_a_full_disk_leaves_the_old_clusters_and_every_image(tmp_path, small_disk, mode):
    old = placed(photograph(tmp_path / "photos" / "old.jpg", b"old"))
    make([old], small_disk / "clusters", "copy")
    sources = [placed(photograph(tmp_path / "photos" / f"{i}.jpg", bytes([i]) * 40_000)) for i in range(9)]
    before, photos = contents(small_disk), contents(tmp_path / "photos")
    with pytest.raises(ImgclusterError, match="no space left"):
        make(sources, small_disk / "clusters", mode)
    assert contents(small_disk) == before
    assert names_in(small_disk) == ["clusters"]
    assert contents(tmp_path / "photos") == photos


def test_extra_files_stay_inside(tmp_path):
    source = placed(photograph(tmp_path / "photos" / "a.jpg"))
    plan = plan_folders([source], str(tmp_path / "clusters"), "auto")
    for name in ("../x", "/x", "a/../../x", ""):
        with pytest.raises(ValueError, match="below its folder"):
            build_folders(plan, extra_files={name: b""}, progress=SilentProgress())
    assert names_in(tmp_path) == ["photos"]
