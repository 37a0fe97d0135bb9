"""A plan of `duplicates` is carried out safely: what goes is what was compared, and one copy of it stays."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from cluster_files import contents, photograph

from imgcluster.errors import ImgclusterError
from imgcluster.files import file_digest
from imgcluster.output.undo import undo
from imgcluster.ownership import Ownership
from imgcluster.records import SilentProgress
from imgcluster.workflows.apply_plan import apply_plan

Row = tuple[int, str, str]


@pytest.fixture
def owner(tmp_path_factory: pytest.TempPathFactory) -> Ownership:
    return Ownership(str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, data in {"a": b"1", "b": b"1", "c": b"2", "d/b": b"1", "e": b"3", "f": b"3"}.items():
        photograph(tmp_path / "photos" / f"{name}.jpg", data)
    return tmp_path / "photos"


ROWS: list[Row] = [
    (0, "keep", "a.jpg"),
    (0, "could_go", "b.jpg"),
    (0, "could_go", "c.jpg"),
    (0, "could_go", "d/b.jpg"),
    (1, "keep", "e.jpg"),
    (1, "could_go", "f.jpg"),
]


def plan_of(photos: Path, rows: list[Row] = ROWS) -> str:
    file = photos.parent / "plan.csv"
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("group", "verdict", "path", "key", "kind"))
        writer.writerows(
            (n, verdict, photos / name, file_digest(photos / name), "") for n, verdict, name in rows
        )
    return str(file)


def test_what_could_go_goes_and_undo_brings_all_back(photos: Path, owner: Ownership) -> None:
    before, trash = contents(photos), str(photos.parent / "trash")
    done = apply_plan(plan_of(photos), trash, owner=owner)
    assert (done.moved, done.groups, done.left) == (4, 2, ())
    assert contents(photos) == {"a.jpg": b"1", "e.jpg": b"3"}
    names = {name: data for name, data in contents(trash).items() if "/" in name}
    assert sorted(names.values()) == [b"1", b"1", b"2", b"3"]
    assert names["0/c.jpg"] == b"2"
    with pytest.raises(ImgclusterError, match="is not empty"):
        apply_plan(plan_of(photos, ROWS[:1]), trash, owner=owner)
    undo(trash, progress=SilentProgress(), owner=owner)
    assert contents(photos) == before
    assert not os.path.exists(trash)


def test_files_that_changed_and_groups_without_a_kept_copy_stay(photos: Path, owner: Ownership) -> None:
    file, trash = plan_of(photos), str(photos.parent / "trash")
    (photos / "b.jpg").write_bytes(b"9")
    (photos / "e.jpg").unlink()
    (photos / "d" / "b.jpg").unlink()
    (photos / "d" / "b.jpg").symlink_to(photos / "a.jpg")
    done = apply_plan(file, trash, owner=owner)
    assert done.moved == 1
    assert {os.path.basename(path): reason for path, reason in done.left if "/d/" not in path} == {
        "b.jpg": "it is gone, or was changed since",
        "f.jpg": "no copy of it that is to be kept is there",
    }
    assert dict(done.left)[str(photos / "d" / "b.jpg")] == "it is a link"
    assert {"b.jpg", "f.jpg", "a.jpg"} <= contents(photos).keys()
    (photos / "c.jpg").write_bytes(b"8")
    with pytest.raises(ImgclusterError, match=r"nothing of .* can go: .*b\.jpg: it is gone"):
        apply_plan(file, str(photos.parent / "other"), owner=owner)


def test_the_kept_copy_is_never_the_one_that_goes(photos: Path, owner: Ownership) -> None:
    trash = str(photos.parent / "trash")
    (photos / "again").symlink_to(photos, target_is_directory=True)
    for rows in (
        [(0, "keep", "a.jpg"), (0, "could_go", "again/a.jpg")],
        [(0, "keep", "a.jpg"), (0, "could_go", "a.jpg")],
    ):
        with pytest.raises(ImgclusterError, match="it is the very file that is kept"):
            apply_plan(plan_of(photos, rows), trash, owner=owner)


@pytest.mark.parametrize(
    "rows",
    [
        [(0, "keep", "a.jpg"), (0, "could_go", "b.jpg"), (1, "keep", "b.jpg"), (1, "could_go", "a.jpg")],
        [(0, "keep", "link.jpg"), (0, "could_go", "b.jpg")],
        [
            (0, "keep", "hard.jpg"),
            (0, "could_go", "b.jpg"),
            (1, "keep", "c.jpg"),
            (1, "could_go", "hard.jpg"),
        ],
    ],
)
def test_a_plan_that_would_leave_no_copy_moves_nothing(
    photos: Path, owner: Ownership, rows: list[Row]
) -> None:
    (photos / "link.jpg").symlink_to(photos / "b.jpg")
    os.link(photos / "b.jpg", photos / "hard.jpg")
    before = contents(photos.parent)
    with pytest.raises(ImgclusterError, match="which was to be kept, is gone; all files are back"):
        apply_plan(plan_of(photos, rows), str(photos.parent / "trash"), owner=owner)
    after = contents(photos.parent)
    after.pop("plan.csv")
    assert after == before


@pytest.mark.parametrize("hidden", [True, False], ids=["size and time as before", "plainly"])
def test_what_changes_while_it_is_moved_brings_all_back(
    photos: Path, owner: Ownership, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    file, before, path = plan_of(photos), contents(photos), photos / "c.jpg"
    new = bytes(len(before["c.jpg"])) if hidden else b"new"

    def replaced(*arguments: object, **more: object) -> object:
        status = path.stat()
        path.write_bytes(new)
        if hidden:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return build_folders(*arguments, **more)

    build_folders = __import__("imgcluster.output.folders").output.folders.build_folders
    monkeypatch.setattr("imgcluster.workflows.apply_plan.build_folders", replaced)
    with pytest.raises(ImgclusterError, match=r"c\.jpg:? was changed"):
        apply_plan(file, str(photos.parent / "trash"), owner=owner)
    assert contents(photos) == before | {"c.jpg": new}


@pytest.mark.parametrize("line", ["x,keep,/a," + "0" * 64, "0,go,/a," + "0" * 64, "0,keep,/a,00", "0,keep,,"])
def test_what_is_no_plan_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "plan.csv"
    file.write_text(f"group,verdict,path,key\n{line}\n")
    with pytest.raises(ImgclusterError, match=r"plan\.csv, line 2, is no line of a plan"):
        apply_plan(str(file), str(tmp_path / "trash"))


def test_a_plan_may_come_through_a_pipe(photos: Path, owner: Ownership) -> None:
    data, (reading, writing) = Path(plan_of(photos)).read_bytes(), os.pipe()
    os.write(writing, data)
    os.close(writing)
    trash = photos.parent / "trash"
    try:
        assert apply_plan(f"/dev/fd/{reading}", str(trash), owner=owner).moved == 4
    finally:
        os.close(reading)
    assert (trash / "plan.csv").read_bytes() == data


def test_look_alikes_never_go(photos: Path, owner: Ownership) -> None:
    rows = [(0, "keep", "a.jpg"), (0, "look_alike", "c.jpg"), (1, "keep", "e.jpg"), (1, "could_go", "f.jpg")]
    assert apply_plan(plan_of(photos, rows), str(photos.parent / "trash"), owner=owner).moved == 1
    assert "c.jpg" in contents(photos)
