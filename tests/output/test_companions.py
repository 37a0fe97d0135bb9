"""What belongs to an image by its name goes where it goes, and comes back with it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from cluster_files import Recorder, contents, make, photograph, placed

from imgcluster.errors import ImgclusterError
from imgcluster.output.folder_plan import plan_folders
from imgcluster.output.life import new_tree
from imgcluster.output.move_journal import MoveJournal, PlannedMove
from imgcluster.output.undo import undo, would_undo
from imgcluster.ownership import IN_MEMORY


def is_image(name: str) -> bool:
    return name.endswith((".jpg", ".heic"))


NAMES = ("a.jpg", "a.xmp", "a.jpg.xmp", "a.CR2", "A.mov", "b.jpg", "b.AAE", "b.jpg.json", "b.txt", "c.xmp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in NAMES:
        photograph(tmp_path / "photos" / name)
    return tmp_path / "photos"


def placements(photos: Path, **clusters: int) -> list[object]:
    return [placed(str(photos / f"{name}.jpg"), cluster) for name, cluster in clusters.items()]


def test_companions_go_along_and_come_back(photos: Path, tmp_path: Path) -> None:
    before, out = contents(photos), tmp_path / "clusters"
    plan = plan_folders(placements(photos, a=0, b=1), str(out), "move", is_image=is_image)
    assert (len(plan.companions), plan.staying) == (5, 0)
    assert not out.exists()
    make(placements(photos, a=0, b=1), out, "move")
    assert sorted(contents(photos)) == ["A.mov", "b.txt", "c.xmp"]
    assert {"0/a.xmp", "0/a.jpg.xmp", "0/a.CR2", "1/b.AAE", "1/b.jpg.json"} <= contents(out).keys()
    told = would_undo(str(out), IN_MEMORY)
    assert (told.returned, told.companions) == (2, 5)
    done = undo(str(out), progress=Recorder())
    assert (done.returned, done.companions, done.left) == (2, 5, ())
    assert contents(photos) == before
    assert not out.exists()


def test_names_of_exports_with_two_endings_go_along(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "photos" / "a.jpg")
    for name in ("a.jpg.supplemental-metadata.json", "a.jpg.supplemen.json", "b.jpg.x.json"):
        photograph(tmp_path / "photos" / name)
    before, out = contents(tmp_path), tmp_path / "clusters"
    make([placed(photo)], out, "move")
    assert sorted(contents(tmp_path / "photos")) == ["b.jpg.x.json"]
    make([placed(str(out / "0" / "a.jpg"), 1, photo)], out, "move")
    assert "1/a.jpg.supplemental-metadata.json" in contents(out)
    undo(str(out), progress=Recorder())
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", ["hardlink", "copy", "symlink"])
def test_they_stay_where_images_stay(photos: Path, tmp_path: Path, mode: str) -> None:
    before = contents(photos)
    make(placements(photos, a=0, b=1), tmp_path / "clusters", mode)
    assert contents(photos) == before
    assert not any(name.endswith("xmp") for name in contents(tmp_path / "clusters"))


@pytest.mark.parametrize("mode", ["move", "auto"])
def test_they_move_on_with_their_image_also_where_somebody_edited_them(
    photos: Path, tmp_path: Path, mode: str
) -> None:
    out = tmp_path / "clusters"
    make(placements(photos, a=0, b=1), out, "move")
    (out / "0" / "a.xmp").write_bytes(b"edited")
    photograph(out / "0" / "a.jpg.dop", b"new")
    moved = [placed(str(out / "0" / "a.jpg"), 1, str(photos / "a.jpg"))]
    make([*moved, placed(str(out / "1" / "b.jpg"), 0, str(photos / "b.jpg"))], out, mode)
    assert contents(out)["1/a.xmp"] == b"edited"
    assert {"1/a.jpg.dop", "0/b.AAE"} <= contents(out).keys()
    undo(str(out), progress=Recorder())
    assert contents(photos)["a.xmp"] == b"edited"
    assert contents(photos)["a.jpg.dop"] == b"new"
    assert set(NAMES) <= contents(photos).keys()
    assert not out.exists()


@pytest.mark.parametrize("folder", ["mine", "1"])
def test_they_are_found_beside_an_image_that_a_person_moved(
    photos: Path, tmp_path: Path, folder: str
) -> None:
    before, out = contents(photos), tmp_path / "clusters"
    make(placements(photos, a=0, b=1), out, "move")
    (out / folder).mkdir(exist_ok=True)
    for path in (out / "0").iterdir():
        path.rename(out / folder / path.name)
    done = undo(str(out), progress=Recorder())
    assert (done.returned, done.companions, done.left) == (2, 5, ())
    assert contents(photos) == before
    assert not out.exists()


def test_they_go_home_with_an_image_that_has_no_part_any_more(photos: Path, tmp_path: Path) -> None:
    before, out = contents(photos), tmp_path / "clusters"
    make(placements(photos, a=0, b=1), out, "move")
    make([placed(str(out / "1" / "b.jpg"), 0, str(photos / "b.jpg"))], out, "move")
    assert {name for name in contents(photos) if name[0] == "a"} == {"a.jpg", "a.xmp", "a.jpg.xmp", "a.CR2"}
    undo(str(out), progress=Recorder())
    assert contents(photos) == before


def test_a_companion_of_several_images_goes_when_all_of_them_do(photos: Path, tmp_path: Path) -> None:
    photograph(photos / "a.heic")
    progress = Recorder()
    make(placements(photos, a=0, b=1), tmp_path / "clusters", "move", progress=progress)
    assert {"a.xmp", "a.CR2", "a.heic"} <= contents(photos).keys()
    assert "0/a.jpg.xmp" in contents(tmp_path / "clusters")
    assert "2 companions stay where images of the same name do" in progress.notes
    undo(str(tmp_path / "clusters"), progress=Recorder())
    both = [*placements(photos, a=0), placed(str(photos / "a.heic"), 1)]
    make(both, tmp_path / "clusters", "move")
    assert "a.xmp" not in contents(photos)
    undo(str(tmp_path / "clusters"), progress=Recorder())
    assert set(NAMES) <= contents(photos).keys()


def test_names_that_collide_are_told_apart(tmp_path: Path) -> None:
    for name in ("p/a.jpg", "p/a.xmp", "q/a.png", "q/A.XMP", "r/a.jpg", "r/a.xmp"):
        photograph(tmp_path / name)
    before, out = contents(tmp_path), tmp_path / "clusters"
    make([placed(str(tmp_path / name)) for name in ("p/a.jpg", "q/a.png", "r/a.jpg")], out, "move")
    assert sum(name.lower().endswith(".xmp") for name in contents(out)) == 2
    assert "q/A.XMP" in contents(tmp_path)  # the stem is another
    undo(str(out), progress=Recorder())
    assert contents(tmp_path) == before


def test_where_another_has_taken_its_place_it_stays_and_is_named(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "clusters"
    make(placements(photos, a=0), out, "move")
    photograph(photos / "a.xmp", b"another")
    done = undo(str(out), progress=Recorder())
    assert (done.returned, done.companions, done.left) == (1, 2, (str(out / "0" / "a.xmp"),))
    assert contents(photos)["a.xmp"] == b"another"


def test_a_failure_brings_companions_back_as_well(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(photos)

    def fail(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("imgcluster.output.folders.swap_in", fail)
    with pytest.raises(ImgclusterError):
        make(placements(photos, a=0, b=1), tmp_path / "clusters", "move")
    assert contents(photos) == before


@pytest.mark.parametrize("mode", ["auto", "move"])
def test_what_systems_and_programs_leave_in_cluster_folders_stops_nothing(
    photos: Path, tmp_path: Path, mode: str
) -> None:
    out = tmp_path / "clusters"
    make(placements(photos, a=0, b=1), out, mode)
    left = ("0/@eaDir/a.jpg/thumb.jpg", "0/._a.jpg", "0/Thumbs.db", "0/a.jpg.dop", "1/a.pp3", "1/.nomedia")
    for name in left:
        photograph(out / name)
    again = [
        placed(str(photos / f"{name}.jpg"), 0)
        if mode == "auto"
        else placed(str(out / folder / f"{name}.jpg"), 0, str(photos / f"{name}.jpg"))
        for name, folder in (("a", "0"), ("b", "1"))
    ]
    make(again, out, mode)
    assert set(left) <= contents(out).keys()
    photograph(out / "0" / "mine.txt")
    with pytest.raises(ImgclusterError, match=r"mine\.txt was not put there"):
        make([placed(str(photos / "b.jpg"))] if mode == "auto" else [], out)


def renew(path: Path, data: bytes | None = None) -> None:
    """Give a file another inode, as FAT and shares do, and all else as it was; or other bytes."""
    status, new = path.stat(), path.with_name("new")
    new.write_bytes(path.read_bytes() if data is None else data.ljust(status.st_size))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)


@pytest.mark.parametrize("data", [None, b"another"])
def test_where_numbers_of_files_change_their_first_bytes_tell_companions(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None
) -> None:
    before, out, move = contents(photos), tmp_path / "clusters", MoveJournal.move

    def renewed(journal: MoveJournal, planned: PlannedMove) -> bool:
        if planned.source.endswith("a.jpg.xmp"):
            renew(photos / "a.jpg.xmp", data)
        return move(journal, planned)

    monkeypatch.setattr(MoveJournal, "move", renewed)
    if data is None:
        make(placements(photos, a=0, b=1), out, "move")
        undo(str(out), progress=Recorder())
        assert contents(photos) == before
    else:
        with pytest.raises(ImgclusterError, match=r"a\.jpg\.xmp: was changed or exchanged"):
            make(placements(photos, a=0, b=1), out, "move")
        assert contents(photos) == before | {"a.jpg.xmp": data.ljust(len(before["a.jpg.xmp"]))}
    assert not out.exists()


def test_they_go_back_after_a_failure_though_numbers_have_changed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, out = contents(photos), tmp_path / "clusters"

    def fail(*_arguments: object) -> None:
        for path in Path(new_tree(str(out))).glob("[01]/*"):
            renew(path)
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("imgcluster.output.folders.swap_in", fail)
    with pytest.raises(ImgclusterError):
        make(placements(photos, a=0, b=1), out, "move")
    assert contents(photos) == before
    assert not out.exists()


@pytest.mark.parametrize("name", ["a.jpg.desktop", "a.jpg.sh", "a.jpg.json", "a.xmp"])
def test_what_others_put_beside_a_moved_image_leaves_no_clustering(tmp_path, name):
    """S14: no run has recorded that it came from the image's home, and no program of this user wrote it."""
    photo = photograph(tmp_path / "photos" / "a.jpg", "image")
    photograph(tmp_path / "photos" / "a.aae", "edits")
    out = tmp_path / "clusters"
    make([placed(photo)], out, "move")
    planted = photograph(out / "0" / name, "planted")
    if name == "a.xmp":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file to another user")
        os.chown(planted, 12345, -1)
    moved = placed(str(out / "0" / "a.jpg"), 1, photo)
    with contextlib.suppress(ImgclusterError):
        make([moved], out, "move")
    make([moved], out, "move", force=True)
    undo(str(out), force=True, progress=Recorder())
    assert contents(tmp_path / "photos") == {"a.jpg": b"image", "a.aae": b"edits"}
    assert b"planted" in contents(out).values()
