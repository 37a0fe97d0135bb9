from __future__ import annotations

import fcntl
import json
import os
import shutil

import pytest
from cluster_files import contents, images, make, names_in, photograph, placed

from imgcluster.errors import ImgclusterError
from imgcluster.output import move_journal
from imgcluster.output.contents import JOURNAL, examine
from imgcluster.output.dismantle import Copies, take_apart
from imgcluster.output.folders import recover
from imgcluster.output.life import new_tree
from imgcluster.output.marker import Marker, read_marker, write_marker
from imgcluster.output.undo import undo
from imgcluster.ownership import IN_MEMORY
from imgcluster.records import CLUSTERING_MARKER, SilentProgress


def take_away(out, **options):
    return undo(str(out), progress=SilentProgress(), **options)


def edit_marker(folder, change):
    path = os.path.join(str(folder), CLUSTERING_MARKER)
    with open(path) as file:
        document = json.load(file)
    change(document)
    with open(path, "w") as file:
        json.dump(document, file)


@pytest.fixture
def photo(tmp_path):
    return photograph(tmp_path / "photos" / "a.jpg", b"bytes")


def test_foreign_files_stay_and_are_named(tmp_path, photo):
    make([placed(photo)], tmp_path / "clusters", "move")
    photograph(tmp_path / "clusters" / "0" / "mine.txt", b"mine")
    undone = take_away(tmp_path / "clusters")
    assert (undone.returned, undone.left) == (1, (str(tmp_path / "clusters" / "0" / "mine.txt"),))
    assert contents(tmp_path / "clusters") == {"0/mine.txt": b"mine"}
    assert contents(tmp_path / "photos") == {"a.jpg": b"bytes"}


def test_folders_that_are_gone_are_made_again(tmp_path, photo):
    make([placed(photo)], tmp_path / "clusters", "move")
    (tmp_path / "photos").rmdir()
    take_away(tmp_path / "clusters")
    assert contents(tmp_path / "photos") == {"a.jpg": b"bytes"}


def test_another_file_in_the_place_of_a_moved_one_stops_everything(tmp_path, photo):
    make([placed(photo)], tmp_path / "clusters", "move")
    photograph(photo, b"another")
    before = contents(tmp_path)
    with pytest.raises(ImgclusterError, match=r"photos/a.jpg has taken the place of .*clusters/0/a.jpg"):
        take_away(tmp_path / "clusters", force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", ["move", "copy", "symlink"])
def test_what_is_changed_meanwhile_stays_though_its_image_is_elsewhere(tmp_path, photo, mode):
    equal, out = photograph(tmp_path / "photos" / "b.jpg", b"bytes"), str(tmp_path / "clusters")
    make([placed(photo), placed(equal, 1)], out, mode)
    marker = read_marker(out)
    examined = examine(out, marker)
    os.unlink(f"{out}/0/a.jpg")
    changed = photograph(f"{out}/0/a.jpg", b"drawn over")
    fates = {path: fate for _, path, fate in take_apart(examined, marker, out, Copies(out, (marker,)))}
    assert (fates[changed], contents(f"{out}/0")) == ("stays", {"a.jpg": b"drawn over"})


def test_folders_that_have_the_names_of_our_files_stay(tmp_path, photo):
    name = f"{JOURNAL}.part"
    make([placed(photo)], tmp_path / "clusters", "move")
    photograph(tmp_path / "clusters" / name / "mine.txt", b"mine")
    assert take_away(tmp_path / "clusters").left == (str(tmp_path / "clusters" / name),)
    assert contents(tmp_path / "clusters") == {f"{name}/mine.txt": b"mine"}


def test_an_image_moved_by_hand_goes_home_all_the_same(tmp_path, photo):
    other = photograph(tmp_path / "photos" / "b.jpg", b"other")
    make([placed(photo), placed(other, 1)], tmp_path / "clusters", "move")
    (tmp_path / "clusters" / "0" / "a.jpg").rename(tmp_path / "clusters" / "1" / "renamed.jpg")
    take_away(tmp_path / "clusters")
    assert contents(tmp_path / "photos") == {"a.jpg": b"bytes", "b.jpg": b"other"}
    assert names_in(tmp_path) == ["photos"]


@pytest.mark.parametrize("name", ["nothing", "photos", "photos/a.jpg", "no/such/parent"])
@pytest.mark.usefixtures("photo")
def test_what_cluster_did_not_make_is_refused(tmp_path, name):
    with pytest.raises(ImgclusterError, match="no clustering in"):
        take_away(tmp_path / name)
    assert contents(tmp_path) == {"photos/a.jpg": b"bytes"}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"schema": "x"}', b'{"schema": 1, "files": 3}', b"\xff"]
)
def test_a_damaged_marker_makes_nothing_ours(tmp_path, photo, data):
    make([placed(photo)], tmp_path / "clusters")
    photograph(tmp_path / "clusters" / CLUSTERING_MARKER, data or b" ")
    before = contents(tmp_path)
    with pytest.raises(ImgclusterError, match="no clustering in"):
        take_away(tmp_path / "clusters")
    with pytest.raises(ImgclusterError, match="was not made by imgcluster"):
        make([placed(photo)], tmp_path / "clusters")
    assert contents(tmp_path) == before


def test_a_marker_of_a_newer_version_asks_for_an_update(tmp_path, photo):
    make([placed(photo)], tmp_path / "clusters")
    edit_marker(tmp_path / "clusters", lambda document: document.update(schema=99))
    for action in (
        lambda: take_away(tmp_path / "clusters"),
        lambda: make([placed(photo)], tmp_path / "clusters"),
    ):
        with pytest.raises(ImgclusterError, match="update imgcluster"):
            action()


@pytest.mark.parametrize(
    "target", ["./../secret.txt", "./0/../../secret.txt", "./../photos/a.jpg", "/etc/hostname"]
)
def test_a_crafted_marker_removes_nothing_outside(tmp_path, photo, target):
    photograph(tmp_path / "secret.txt", b"secret")
    make([placed(photo)], tmp_path / "clusters")

    def craft(document):
        found = os.stat(os.path.join(tmp_path, "clusters", target))
        document["files"][target] = [
            "copy",
            "0" * 64,
            found.st_size,
            found.st_mtime_ns,
            found.st_ino,
            "./x",
            "",
        ]

    edit_marker(tmp_path / "clusters", craft)
    before = contents(tmp_path)
    with pytest.raises(ImgclusterError):
        take_away(tmp_path / "clusters")
    make([placed(photo)], tmp_path / "clusters", force=True)
    after = contents(tmp_path)
    assert after["secret.txt"] == b"secret"
    assert after["photos/a.jpg"] == before["photos/a.jpg"]


def test_a_marker_that_came_with_a_folder_moves_nothing_out_of_it(tmp_path, photo):
    """An archive can carry any marker, but not the inode that a file will have."""
    make([placed(photo)], tmp_path / "clusters", "move")
    shutil.copytree(tmp_path / "clusters", tmp_path / "unpacked")
    shutil.rmtree(tmp_path / "clusters")
    edit_marker(
        tmp_path / "unpacked", lambda d: d["files"]["./0/a.jpg"].__setitem__(5, f"{tmp_path}/.profile")
    )
    before = contents(tmp_path)
    for force in (False, True):
        with pytest.raises(ImgclusterError, match="--trust"):
            take_away(tmp_path / "unpacked", force=force)
        with pytest.raises(ImgclusterError, match="--trust"):
            make([placed(photograph(tmp_path / "photos" / "b.jpg"))], tmp_path / "unpacked", force=force)
    assert contents(tmp_path) == before | {"photos/b.jpg": os.fsencode(tmp_path / "photos" / "b.jpg")}
    assert names_in(tmp_path) == ["photos", "unpacked"]


@pytest.mark.parametrize(
    "target", ["./../secret.txt", "./../../secret.txt", "./0/../../secret.txt", "./0/a.jpg"]
)
@pytest.mark.parametrize("signed", [False, True])
def test_a_crafted_journal_moves_nothing_out(tmp_path, photo, target, signed):
    """Not even one that is signed: a line leads to no file outside the tree, nor to another than it says."""
    out = tmp_path / "clusters"
    make([placed(photo)], out, "copy")
    photograph(tmp_path / "secret.txt", b"secret")
    planted = new_tree(str(out))
    photograph(os.path.join(planted, "0", "a.jpg"), b"bytes")
    there = os.path.normpath(os.path.join(planted, target))
    status = os.lstat(there if os.path.exists(there) and target != "./0/a.jpg" else photo)
    fields = [f"{tmp_path}/.profile", target, status.st_ino, status.st_size, status.st_mtime_ns]
    line = json.dumps(fields) + "\n"
    if signed:
        write_marker(planted, Marker(2, building=True, moves=1, name="planted"))
        line = move_journal._Signing(planted, "planted", IN_MEMORY).line(fields)
    else:
        shutil.copy(out / CLUSTERING_MARKER, planted)
        edit_marker(planted, lambda document: document.update(building=True))
    photograph(os.path.join(planted, ".imgcluster-moves"), line)
    if signed:
        recover(str(out), lambda _: None)
        assert not os.path.exists(planted)
        assert (out / "kept" / "a.jpg").read_bytes() == b"bytes"
    else:
        with pytest.raises(ImgclusterError, match="--trust"):
            recover(str(out), lambda _: None)
    assert not (tmp_path / ".profile").exists()
    assert (tmp_path / "secret.txt").read_bytes() == b"secret"


def test_a_foreign_tree_with_the_name_of_ours_is_left_alone(tmp_path, photo):
    planted = new_tree(str(tmp_path / "clusters"))
    photograph(f"{planted}/precious.txt", b"precious")
    with pytest.raises(ImgclusterError, match=r"precious.txt is in the way"):
        make([placed(photo)], tmp_path / "clusters")
    assert contents(planted) == {"precious.txt": b"precious"}


def test_two_runs_wait_for_each_other(tmp_path, photo):
    out = tmp_path / "clusters"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    class Releasing(SilentProgress):
        said = ""

        def note(self, message):
            self.said = message
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    progress = Releasing()
    make([placed(photo)], out, progress=progress)
    os.close(descriptor)
    assert "waiting for another imgcluster" in progress.said
    assert images(out)
