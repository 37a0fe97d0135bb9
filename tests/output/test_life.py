"""Whatever a cluster folder is found in, no image is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cluster_files import Recorder, contents, images, make, names_in, photograph, placed

from imgcluster.errors import ImgclusterError
from imgcluster.held import WayRefusedError
from imgcluster.output import folders
from imgcluster.output.contents import JOURNAL, KEPT
from imgcluster.output.dismantle import carry
from imgcluster.output.folders import recover
from imgcluster.output.life import State, look, new_tree
from imgcluster.output.manifest import read_assignments, read_manifest
from imgcluster.output.marker import Marker, read_marker, write_marker
from imgcluster.output.model_file import read_model
from imgcluster.output.moved import moved_images
from imgcluster.output.trust import take_over
from imgcluster.output.undo import undo
from imgcluster.ownership import IN_MEMORY

COUNT = 5
PHOTOS = {f"{i}.jpg": f"image {i}".encode() for i in range(COUNT)}


def photos(root):
    return [placed(photograph(root / "photos" / name, data)) for name, data in PHOTOS.items()]


def died_before_the_exchange(root, monkeypatch, mode="move"):
    """Leave what a run leaves that is killed just before its last marker: all images are in its tree."""

    class Killed(BaseException):
        pass

    def die(folder, marker, owner):
        if not marker.building:
            raise Killed
        write_marker(folder, marker, owner)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "write_marker", die)
        patch.setattr(folders, "give_up", lambda *_: None)
        with pytest.raises(Killed):
            make(photos(root), root / "clusters", mode)
    return Path(new_tree(str(root / "clusters")))


def everything(root):
    return set(contents(root).values())


DAMAGE = {
    "a byte": lambda line: b"\xff" + line[1:],
    "a digit": lambda line: line.replace(b"1", b"2").replace(b"3", b"4"),
    "another path": lambda line: line.replace(b"photos", b"photo5"),
    "cut": lambda line: line[: len(line) // 2] + b"\n",
    "gone": lambda line: b"",
    "deep": lambda line: b"[" * 100_000 + b"\n",
    "no list": lambda line: b"7\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("at", range(COUNT))
def test_a_damaged_line_of_a_journal_costs_no_image(tmp_path, monkeypatch, damage, at):
    tree = died_before_the_exchange(tmp_path, monkeypatch)
    assert contents(tmp_path / "photos") == {}
    lines = (tree / JOURNAL).read_bytes().splitlines(keepends=True)
    lines[at] = damage(lines[at])
    (tree / JOURNAL).write_bytes(b"".join(lines))
    progress = Recorder()
    recover(str(tmp_path / "clusters"), progress.note)
    lost = f"{at}.jpg"
    assert contents(tmp_path / "photos") == {name: data for name, data in PHOTOS.items() if name != lost}
    assert contents(tmp_path / "clusters") == {f"{KEPT}/{lost}": PHOTOS[lost]}
    assert f"1 image whose place it does not tell is in {tmp_path / 'clusters' / KEPT}" in progress.notes[0]
    assert names_in(tmp_path) == ["clusters", "photos"]


def test_a_journal_that_is_gone_costs_no_image(tmp_path, monkeypatch):
    tree = died_before_the_exchange(tmp_path, monkeypatch)
    (tree / JOURNAL).unlink()
    undone = undo(str(tmp_path / "clusters"), progress=Recorder())
    assert undone.left == (str(tmp_path / "clusters" / KEPT),)
    assert everything(tmp_path) == set(PHOTOS.values())


def test_images_in_a_folder_that_cannot_be_listed_are_not_discarded(tmp_path, monkeypatch):
    tree = died_before_the_exchange(tmp_path, monkeypatch)
    (tree / JOURNAL).unlink()
    monkeypatch.chdir(tree / "0")
    for _ in range(20):  # longer than a path may be
        os.mkdir("x" * 250)
        os.chdir("x" * 250)
    Path("deep.jpg").write_bytes(b"the last")
    with pytest.raises(OSError, match="File name too long"):
        recover(str(tmp_path / "clusters"), lambda _: None)
    assert Path("deep.jpg").read_bytes() == b"the last"


def test_a_tree_that_version_0_1_left_is_put_back(tmp_path, monkeypatch):
    tree = died_before_the_exchange(tmp_path, monkeypatch)
    lines = [json.loads(line)[:5] for line in (tree / JOURNAL).read_bytes().splitlines()]
    (tree / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tree / ".imgcluster.json").write_text('{"schema": 1, "generation": 1, "building": true, "files": {}}')
    with pytest.raises(ImgclusterError, match="--trust"):
        recover(str(tmp_path / "clusters"), lambda _: None)
    take_over(str(tmp_path / "clusters"), [str(tmp_path / "photos")], IN_MEMORY, lambda _: None)
    recover(str(tmp_path / "clusters"), lambda _: None)
    assert contents(tmp_path / "photos") == PHOTOS
    assert names_in(tmp_path) == ["photos"]


def test_an_undo_after_a_kill_says_how_many_images_it_moved_back(tmp_path, monkeypatch):
    died_before_the_exchange(tmp_path, monkeypatch)
    undone = undo(str(tmp_path / "clusters"), progress=Recorder())
    assert (undone.returned, undone.removed, undone.left) == (COUNT, 0, ())
    assert contents(tmp_path / "photos") == PHOTOS
    with pytest.raises(ImgclusterError, match="no clustering in"):
        undo(str(tmp_path / "clusters"), progress=Recorder())


def test_ctrl_c_in_a_move_says_that_all_images_are_where_they_were(tmp_path):
    class Stopping(Recorder):
        stopping = True

    progress = Stopping()
    with pytest.raises(KeyboardInterrupt):
        make(photos(tmp_path), tmp_path / "clusters", "move", progress=progress)
    assert progress.notes == ["1 image moved back: all images are where they were"]


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_the_last_copy_is_kept_where_another_picture_took_its_path(tmp_path, mode):
    placements = photos(tmp_path)
    out = tmp_path / "clusters"
    make(placements, out, mode)
    os.unlink(placements[0].path)
    photograph(placements[0].path, b"another")
    for _ in range(2):
        make([placed(p.path) for p in placements], out, mode)
        assert contents(out)[f"{KEPT}/0.jpg"] == PHOTOS["0.jpg"]
        assert images(out)["0/0.jpg"] == b"another"
    os.unlink(placements[1].path)
    photograph(placements[1].path, b"yet another")
    undone = undo(str(out), progress=Recorder())
    assert contents(out) == {f"{KEPT}/0.jpg": PHOTOS["0.jpg"], "0/1.jpg": PHOTOS["1.jpg"]}
    assert str(out / "0" / "1.jpg") in undone.left


def test_a_path_that_became_a_link_to_our_copy_is_no_original(tmp_path):
    placements = photos(tmp_path)
    out = tmp_path / "clusters"
    make(placements, out, "copy")
    os.unlink(placements[0].path)
    os.symlink(out / "0" / "0.jpg", placements[0].path)
    undo(str(out), progress=Recorder())
    assert contents(out) == {"0/0.jpg": PHOTOS["0.jpg"]}


@pytest.mark.parametrize("mode", ["hardlink", "copy", "symlink"])
@pytest.mark.parametrize("again", [True, False])
def test_what_exists_under_another_path_is_not_kept(tmp_path, mode, again):
    first, copy = (photograph(tmp_path / "photos" / name, b"same") for name in ("a.jpg", "b.jpg"))
    out = tmp_path / "clusters"
    make([placed(first), placed(copy)], out, mode)
    os.unlink(copy)
    if again:
        make([placed(first)], out, mode)
        assert KEPT not in names_in(out)
    undo(str(out), progress=Recorder())
    assert names_in(tmp_path) == ["photos"]
    assert contents(tmp_path / "photos") == {"a.jpg": b"same"}


def rename_cluster(out):
    (out / "0").rename(out / "cats")


def rename_file(out):
    (out / "0" / "0.jpg").rename(out / "0" / "my cat.jpg")


def put_into_a_folder_of_ones_own(out):
    (out / "mine" / "deep").mkdir(parents=True)
    for name in ("0.jpg", "3.jpg"):
        (out / "0" / name).rename(out / "mine" / "deep" / name)


def rename_both(out):
    rename_file(out)
    rename_cluster(out)


CHANGES = [rename_cluster, rename_file, put_into_a_folder_of_ones_own, rename_both]


@pytest.mark.parametrize("change", CHANGES)
def test_moved_images_come_home_wherever_below_the_folder_they_are(tmp_path, change):
    out = tmp_path / "clusters"
    make(photos(tmp_path), out, "move")
    change(out)
    assert {Path(image.path).exists() for image in moved_images(str(out))} == {True}
    undone = undo(str(out), progress=Recorder())
    assert (undone.returned, undone.missing, undone.left) == (COUNT, 0, ())
    assert contents(tmp_path / "photos") == PHOTOS
    assert names_in(tmp_path) == ["photos"]


@pytest.mark.parametrize("change", CHANGES)
def test_moved_images_are_clustered_again_wherever_below_the_folder_they_are(tmp_path, change):
    out = tmp_path / "clusters"
    make(photos(tmp_path), out, "move")
    change(out)
    placements = [placed(image.path, 1, image.original) for image in moved_images(str(out))]
    make(placements, out, "move", force=True)
    assert sorted(images(out)) == [f"1/{i}.jpg" for i in range(COUNT)]
    undo(str(out), progress=Recorder())
    assert contents(tmp_path) == {f"photos/{name}": data for name, data in PHOTOS.items()}


def test_images_that_are_not_found_are_counted_and_come_home_later(tmp_path):
    out = tmp_path / "clusters"
    make(photos(tmp_path), out, "move")
    (out / "0" / "1.jpg").rename(tmp_path / "somewhere.jpg")
    undone = undo(str(out), progress=Recorder())
    assert (undone.returned, undone.missing) == (COUNT - 1, 1)
    assert undo(str(out), progress=Recorder()).missing == 1
    (tmp_path / "somewhere.jpg").rename(out / "found.jpg")
    undone = undo(str(out), progress=Recorder())
    assert (undone.returned, undone.missing) == (1, 0)
    assert contents(tmp_path / "photos") == PHOTOS
    assert names_in(tmp_path) == ["photos"]


def test_a_later_clustering_does_not_forget_an_image_that_was_away(tmp_path):
    out = tmp_path / "clusters"
    make(photos(tmp_path), out, "move")
    (out / "0" / "1.jpg").rename(tmp_path / "somewhere.jpg")
    here = [p for p in read_assignments(str(out)) if os.path.exists(p.path)]
    for _ in range(2):
        make([placed(p.path, 0, p.original) for p in here], out, "move")
    (tmp_path / "somewhere.jpg").rename(out / "0" / "found.jpg")
    make([placed(p.path, 0, p.original) for p in here], out, "move", force=True)
    assert contents(tmp_path / "photos") == {"1.jpg": PHOTOS["1.jpg"]}
    undo(str(out), progress=Recorder())
    assert contents(tmp_path / "photos") == PHOTOS


def test_an_image_in_kept_goes_home_when_its_place_is_free_again(tmp_path):
    out = tmp_path / "clusters"
    make(photos(tmp_path), out, "move")
    photograph(tmp_path / "photos" / "1.jpg", b"another")
    here = [placed(p.path, 0, p.original) for p in read_assignments(str(out))][2:]
    make(here, out, "move")
    assert contents(out)[f"{KEPT}/1.jpg"] == PHOTOS["1.jpg"]
    (tmp_path / "photos" / "1.jpg").unlink()
    make([placed(p.path, 0, p.original) for p in read_assignments(str(out))], out, "move")
    assert contents(tmp_path / "photos") == {name: PHOTOS[name] for name in ("0.jpg", "1.jpg")}
    assert KEPT not in names_in(out)


def test_nothing_is_kept_behind_a_link(tmp_path):
    out, elsewhere = tmp_path / "clusters", tmp_path / "elsewhere"
    placements = photos(tmp_path)
    make(placements, out, "copy")
    elsewhere.mkdir()
    (out / KEPT).symlink_to(elsewhere)
    os.unlink(placements[0].path)
    make(placements[1:], out, "copy", force=True)
    assert contents(elsewhere) == {}
    assert PHOTOS["0.jpg"] in everything(out)


def test_what_lies_behind_a_link_is_carried_nowhere(tmp_path):
    photograph(tmp_path / "elsewhere" / "0.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out").mkdir()
    with pytest.raises(WayRefusedError):
        carry(str(tmp_path / "link" / "0.jpg"), str(tmp_path / "out"), "0.jpg")
    assert names_in(tmp_path / "out") == []


@pytest.mark.parametrize("name", [".imgcluster.json", "assignments.csv", "clustering.json", "model.npz"])
@pytest.mark.parametrize(
    "plant", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"]
)
def test_what_lies_in_the_place_of_our_files_neither_hangs_nor_fills_the_memory(tmp_path, name, plant):
    out = tmp_path / "clusters"
    out.mkdir()
    plant(str(out / name))
    readers = {
        ".imgcluster.json": read_marker,
        "assignments.csv": read_assignments,
        "clustering.json": read_manifest,
        "model.npz": read_model,
    }
    with pytest.raises(ImgclusterError, match=name):
        readers[name](str(out))


def test_what_a_folder_can_be_found_in(tmp_path, monkeypatch):
    out = str(tmp_path / "clusters")
    tree, aside = new_tree(out), new_tree(out).removesuffix("new") + "old"

    def state():
        return look(out).state

    assert state() is State.NOTHING
    died_before_the_exchange(tmp_path, monkeypatch)
    assert state() is State.BUILDING
    write_marker(tree, Marker(1, building=False))
    assert state() is State.BUILT
    os.rename(tree, out)
    assert state() is State.FINISHED
    os.mkdir(tree)
    assert state() is State.BEGUN
    write_marker(out, Marker(1, building=False, replaces=os.lstat(tree).st_ino))
    assert state() is State.EXCHANGED
    write_marker(tree, Marker(2, building=False))
    assert state() is State.BUILDING
    write_marker(tree, Marker(0, building=False))
    assert state() is State.EXCHANGED
    os.rename(out, aside)
    assert state() is State.WITHOUT_OUT
    shutil.rmtree(aside)
    os.unlink(os.path.join(tree, ".imgcluster.json"))
    assert state() is State.BEGUN
    os.rmdir(tree)
    os.mkdir(out)
    assert state() is State.FOREIGN
