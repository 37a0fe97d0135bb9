"""Names and numbers that stay, and the way back, one step after another."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clusterings import COLOURS, IMAGES, Desk, Notes, pictures
from fakes import FakeSource, write_image

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.output.manifest import read_assignments, read_manifest
from imgcluster.ownership import Ownership
from imgcluster.workflows.assign import assign
from imgcluster.workflows.cluster import cluster as find_clusters
from imgcluster.workflows.cluster_identities import Share, Successor, what_happened
from imgcluster.workflows.correct import correct
from imgcluster.workflows.diff import diff
from imgcluster.workflows.merge import merge
from imgcluster.workflows.name import name
from imgcluster.workflows.options import (
    AssignOptions,
    ClusterOptions,
    CorrectOptions,
    NameOptions,
    PickOptions,
    SweepOptions,
    UndoOptions,
)
from imgcluster.workflows.pick import pick
from imgcluster.workflows.sweep import sweep
from imgcluster.workflows.sweep_report import report_sweep
from imgcluster.workflows.undo import undo


def give(desk: Desk, *names: str | dict[int, object]) -> None:
    name(names, NameOptions(clusters=str(desk.out)))


def folders(desk: Desk) -> dict[str, set[str]]:
    """The colours that lie in each cluster folder."""
    found = [path for path in desk.out.iterdir() if path.is_dir()]
    return {path.name: {picture.stem.rstrip("0123456789") for picture in pictures(path)} for path in found}


def colour_of(desk: Desk, cluster: int) -> str:
    return next(Path(p.original).parent.name for p in read_assignments(str(desk.out)) if p.cluster == cluster)


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy", "move"])
def test_a_name_is_that_of_the_folder_and_in_all_that_is_told(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    before = folders(desk)
    give(desk, "0=cats", "2=the old house: 1/2?".replace("/", "-"))
    assert folders(desk) == {"0 cats": before["0"], "1": before["1"], "2 the old house_ 1-2_": before["2"]}
    manifest = json.loads((desk.out / "clustering.json").read_text())
    assert manifest["clusters"][0] == {"number": 0, "name": "cats", "size": 5}
    with (desk.out / "assignments.csv").open(newline="") as table:
        assert sum(row["name"] == "cats" for row in csv.DictReader(table)) == 5
    # It is a step like any other, and nothing is lost with it.
    undo(UndoOptions(clusters=desk.out))
    assert folders(desk) == before
    undo(UndoOptions(clusters=desk.out))
    assert len(pictures(desk.photos)) == IMAGES
    assert not desk.out.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("0=cats", "0=dogs"),
        ("0=cats", "1=cats"),
        ("0=",),
        ("0= ",),
        ("0=a/b",),
        ("0=..",),
        ("7=cats",),
        ("cats",),
        ("0=1",),
        ("0=not cats",),
        (),
        ({},),
        ({0: None},),
        ({0: 5},),
    ],
)
def test_a_name_that_cannot_be_changes_nothing(
    desk: Desk, wrong: tuple[str | dict[int, object], ...]
) -> None:
    desk.cluster()
    before = everything(desk.out)
    with pytest.raises(UsageError) as error:
        give(desk, *wrong)
    assert "\n" not in str(error.value)
    assert everything(desk.out) == before


def test_copies_are_not_made_again_and_those_without_an_original_stay(desk: Desk) -> None:
    desk.cluster(mode="copy")
    gone = pictures(desk.photos)[0]
    gone.unlink()
    inodes = {path.stat().st_ino for path in pictures(desk.out)}
    give(desk, "0=cats")
    assert {path.stat().st_ino for path in pictures(desk.out)} == inodes
    assert read_manifest(str(desk.out)).images == IMAGES


def test_files_of_others_move_along(desk: Desk) -> None:
    desk.cluster()
    (desk.out / "note.txt").write_text("mine")
    give(desk, "0=cats")
    assert (desk.out / "note.txt").read_text() == "mine"


def test_numbers_and_names_go_with_the_images(desk: Desk) -> None:
    for number in range(3):  # so many that red is more than half of whatever it falls together with
        write_image(desk.photos / "red" / f"red{90 + number}.png", COLOURS["red"], noise=90 + number)
    desk.extract()
    desk.cluster()
    colours = {colour_of(desk, number): number for number in range(3)}
    give(desk, f"{colours['red']}=roses")
    result = desk.cluster(2)
    there = folders(desk)
    assert len(there) == 2
    # Whatever red fell together with: it is roses, and has its number.
    assert next(colour for name, colour in there.items() if name == f"{colours['red']} roses") >= {"red"}
    assert desk.progress.said(f"roses: still {colours['red']} (100 % of its images)")
    assert {each.name: each.now for each in result.kept}["roses"] == colours["red"]
    # Two steps on the numbers are still those; anew, they go by size and the name stays with its images.
    desk.cluster(3)
    assert folders(desk)[f"{colours['red']} roses"] == {"red"}
    assert {colour_of(desk, colours[colour]) for colour in colours} == set(colours)
    desk.cluster(3, renumber=True)
    assert [each.number for each in read_manifest(str(desk.out)).clusters] == [0, 1, 2]
    assert {"red"} in [colour for name, colour in folders(desk).items() if name.endswith(" roses")]


def test_as_before_is_said_of_clusters_that_are() -> None:
    def old(number: int, name: str, *shares: tuple[int, float]) -> Successor:
        return Successor(number, name, number, tuple(Share(*share) for share in shares))

    assert what_happened([old(0, "", (0, 1.0)), old(1, "", (1, 1.0))]) == "2 clusters as before"
    assert what_happened([old(0, "", (0, 1.0)), old(1, "", (1, 0.96), (0, 0.04))]) == (
        "2 clusters as before (at least 96 % of each)"
    )
    assert what_happened([old(0, "", (0, 0.6), (3, 0.4)), old(1, "", (1, 1.0))]) == (
        "0: still 0 (60 % of its images), 40 % are in 3; 1 other as before"
    )


def test_a_folder_renamed_by_hand_is_a_name(desk: Desk) -> None:
    desk.cluster(mode="move")
    (desk.out / "1").rename(desk.out / "grass")
    desk.cluster(3)
    assert set(folders(desk)) == {"0", "1 grass", "2"}
    (desk.out / "1 grass").rename(desk.out / "1")
    give(desk, "0=cats")
    assert set(folders(desk)) == {"0 cats", "1", "2"}


def test_an_image_moved_by_hand_stops_a_step_in_any_direction(desk: Desk) -> None:
    desk.cluster()
    desk.cluster(2)
    first, second = (desk.out / name for name in sorted(folders(desk)))
    moved = pictures(first)[0]
    moved.rename(second / moved.name)
    before = everything(desk.out)
    for step in (
        lambda: give(desk, "0=cats"),
        lambda: undo(UndoOptions(clusters=desk.out)),
        lambda: undo(UndoOptions(clusters=desk.out, dry_run=True)),
        lambda: desk.cluster(3),
        lambda: desk.cluster(3, dry_run=True),
    ):
        with pytest.raises(ImgclusterError, match=r"moved by hand .*imgcluster correct"):
            step()
        assert everything(desk.out) == before
    undo(UndoOptions(clusters=desk.out, force=True))
    assert len(folders(desk)) == 3


def test_back_from_moved_images_they_are_at_home(desk: Desk) -> None:
    desk.cluster(mode="symlink")
    before = everything(desk.folder)
    desk.cluster(2, mode="move")
    assert undo(UndoOptions(clusters=desk.out, dry_run=True)).steps == 0
    done = undo(UndoOptions(clusters=desk.out))
    assert done.returned == IMAGES
    assert {
        path: data for path, data in everything(desk.folder).items() if path.name != ".imgcluster.json"
    } == {path: data for path, data in before.items() if path.name != ".imgcluster.json"}
    assert len([each for each in done.clusters or () if each.size == 5]) == 3


def test_all_is_taken_away_at_once_where_that_is_wanted(desk: Desk) -> None:
    for k in (2, 3, 4):
        desk.cluster(k)
    assert undo(UndoOptions(clusters=desk.out, all=True, dry_run=True)).removed > IMAGES
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not desk.out.exists()


def rename_impossibly(out: Path) -> None:
    (out / "0 cats").rename(out / "not sure")


def give_one_name_twice(out: Path) -> None:
    (out / "0 cats").rename(out / "same")
    (out / "1").rename(out / "1 same")


def change_the_table(out: Path) -> None:
    with (out / "assignments.csv").open("a") as table:
        table.write("more")


def change_what_keeps_the_step(out: Path) -> None:
    next(out.glob(".imgcluster-before-*")).write_bytes(b"another")


@pytest.mark.parametrize(
    "change",
    [
        rename_impossibly,
        give_one_name_twice,
        change_the_table,
        change_what_keeps_the_step,
        lambda out: (out / "assignments.csv").unlink(),
    ],
)
def test_where_no_step_back_can_be_taken_nothing_goes(desk: Desk, change: Callable[[Path], None]) -> None:
    desk.cluster()
    give(desk, "0=cats")
    change(desk.out)
    before = everything(desk.out)
    for dry_run in (True, False):
        with pytest.raises(ImgclusterError, match="undo --all"):
            undo(UndoOptions(clusters=desk.out, dry_run=dry_run))
    assert everything(desk.out) == before
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not pictures(desk.out)


@dataclass
class Meddler(Notes):
    """A Progress that does something, as another process would, when the work of that name begins."""

    when: str = ""
    act: Callable[[], None] = lambda: None
    times: int = 1

    def begin(self, what: str, total: int | None = None) -> None:
        if what == self.when and self.times:
            self.times -= 1
            self.act()


def test_a_name_that_is_given_while_clusters_are_found_is_kept(desk: Desk) -> None:
    desk.cluster()
    desk.progress = Meddler(when="finding clusters", act=lambda: give(desk, "0=cats"))
    desk.cluster(2)
    assert "0 cats" in folders(desk)
    assert len(folders(desk)) == 2
    assert len(pictures(desk.out)) == IMAGES


def test_a_name_that_is_given_while_images_are_assigned_is_not_undone(desk: Desk) -> None:
    desk.cluster()
    write_image(desk.folder / "new" / "red9.png", COLOURS["red"], noise=9)
    options = AssignOptions(clusters=str(desk.out), place=True)
    desk.progress = Meddler(when="embedding", act=lambda: give(desk, "0=cats"))
    with pytest.raises(ImgclusterError, match="was clustered or named meanwhile: run the command again"):
        assign([desk.folder / "new"], options, source=FakeSource(), progress=desk.progress)
    assert set(folders(desk)) == {"0 cats", "1", "2"}
    assert len(pictures(desk.out)) == IMAGES
    assign([desk.folder / "new"], options, source=FakeSource(), progress=desk.progress)
    assert len(pictures(desk.out)) == IMAGES + 1


def test_a_clustering_that_another_run_made_meanwhile_is_built_upon(desk: Desk) -> None:
    desk.progress = Meddler(when="finding clusters", act=lambda: Desk(desk.folder).cluster() and None)
    desk.cluster(2)
    assert len(folders(desk)) == 2
    undo(UndoOptions(clusters=desk.out))
    assert len(folders(desk)) == 3


def test_a_foreign_folder_is_told_in_one_line(desk: Desk) -> None:
    desk.cluster()
    desk.progress = Notes()
    options = ClusterOptions(store=desk.store, out=str(desk.out))
    with pytest.raises(ImgclusterError, match="is not known to be made by a run of yours"):
        find_clusters((), options, owner=Ownership(str(desk.folder / "another")), progress=desk.progress)
    assert not desk.progress.notes


def test_the_last_of_many_runs_on_one_folder_waits_its_turn(desk: Desk) -> None:
    another = lambda: Desk(desk.folder).cluster() and None  # noqa: E731
    desk.progress = Meddler(when="finding clusters", act=another, times=3)
    desk.cluster(2)
    assert len(folders(desk)) == 2
    for _ in range(3):
        undo(UndoOptions(clusters=desk.out))
        assert len(folders(desk)) == 3


def test_the_line_after_a_correction_makes_the_same_clustering_with_it(desk: Desk) -> None:
    desk.cluster(3)
    moved = pictures(desk.out / "1")[0]
    moved.rename(desk.out / "0" / moved.name)
    done = correct(CorrectOptions(clusters=str(desk.out), out=str(desk.folder / "my edits.csv")))
    assert f" --out {desk.out}" in done.command
    assert done.command.endswith(f" --k 3 --edits '{desk.folder / 'my edits.csv'}'")


def put_right(desk: Desk, **options: object) -> Path:
    file = desk.folder / "edits.csv"
    correct(CorrectOptions(clusters=str(desk.out), out=str(file)))
    desk.cluster(options.pop("k", 3), edits=str(file), **options)
    return file


@pytest.mark.parametrize("mode", ["symlink", "copy", "move"])
def test_what_was_moved_by_hand_stays_whatever_comes_next(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    give(desk, "0=cats")
    moved = pictures(desk.out / "1")[:2]
    (desk.out / "mine").mkdir()
    moved[0].rename(desk.out / "0 cats" / moved[0].name)
    moved[1].rename(desk.out / "mine" / moved[1].name)
    file = put_right(desk, k=4, mode=mode)
    assert len(file.read_text().splitlines()) == 3
    for k in (4, 3, 5):
        there = {path.name: path.parent.name for path in pictures(desk.out)}
        assert there[moved[0].name] == "0 cats"
        assert there[moved[1].name].endswith(" mine")
        assert sum(name == "0 cats" for name in there.values()) >= 2
        desk.cluster(k, mode=mode)
    assert read_manifest(str(desk.out)).images == IMAGES


def test_a_cluster_of_ones_own_takes_no_other_ones_name(desk: Desk) -> None:
    desk.cluster(2)
    (mixed,) = (name for name, colours in folders(desk).items() if len(colours) == 2)
    give(desk, f"{mixed}=documents")
    one, other = sorted(folders(desk)[f"{mixed} documents"])
    (desk.out / "receipts").mkdir()
    for path in pictures(desk.out / f"{mixed} documents")[:2]:
        path.rename(desk.out / "receipts" / path.name)
    put_right(desk, k=3)
    there = folders(desk)
    assert there[f"{mixed} documents"] == {other}
    (receipts,) = (name for name in there if name.endswith(" receipts"))
    assert there[receipts] == {one}
    assert desk.progress.said(f"documents: still {mixed} (50 % of its images), 50 % are in")
    # The same again, and fewer, whatever would be found without the edits.
    desk.cluster(3)
    assert folders(desk) == there
    desk.cluster(2)
    assert folders(desk)[receipts] == {one}
    desk.cluster(3)
    assert folders(desk)[receipts] == {one}
    # What is merged with a cluster that was found is none of one's own any more.
    merge(["receipts", f"{mixed}"], NameOptions(clusters=str(desk.out)))
    assert read_manifest(str(desk.out)).own == ()


def test_a_folder_of_ones_own_may_be_a_number(desk: Desk) -> None:
    desk.cluster()
    (desk.out / "7").mkdir()
    moved = pictures(desk.out / "1")[0]
    moved.rename(desk.out / "7" / moved.name)
    file = put_right(desk, k=4)
    assert moved.name in {path.name for path in pictures(desk.out / "7")}
    assert read_manifest(str(desk.out)).own == (7,)
    desk.cluster(4, edits=str(file))


@pytest.mark.parametrize("known", ["by its name", "by the folder", "not at all"])
def test_where_k_leaves_no_room_a_new_name_of_a_file_takes_a_cluster_without_one(
    desk: Desk, known: str
) -> None:
    desk.cluster(2)
    (mixed,) = (name for name, colours in folders(desk).items() if len(colours) == 2)
    folder = f"{mixed} documents" if known == "by its name" else mixed
    if known == "by its name":
        give(desk, f"{mixed}=documents")
    chosen = [path.name for path in pictures(desk.out / folder)[:2]]
    if known == "by the folder":
        (desk.out / "receipts").mkdir()
        for name in chosen:
            (desk.out / folder / name).rename(desk.out / "receipts" / name)
        put_right(desk, k=2)
    else:
        file = desk.folder / "edits.csv"
        rows = [f"{path},receipts" for path in pictures(desk.photos) if path.name in chosen]
        file.write_text("\n".join(["path,cluster", *rows]))
        desk.cluster(2, edits=str(file))
    colours = {name: len(those) for name, those in folders(desk).items()}
    apart = known != "not at all"
    (receipts,) = (name for name in colours if name.endswith(" receipts"))
    assert (len(colours), colours[receipts]) == (2, 2 - apart)
    assert (folder in colours) == apart
    assert (receipts == f"{mixed} receipts") != apart


def test_what_was_corrected_before_follows_names_and_merges(desk: Desk) -> None:
    desk.cluster()
    give(desk, "0=cats", "1=dogs")
    file = desk.folder / "edits.csv"
    before = {"red0": "cats", "red1": "dogs", "blue4": "-1"}
    rows = [f",photos/{name[:-1]}/{name}.png,{cluster}," for name, cluster in before.items()]
    file.write_text("\n".join(["key,path,cluster,name", *rows, ""]))
    desk.cluster(edits=str(file))
    file.write_text(f"{file.read_text()},,1,dogs\n")
    give(desk, "cats=tigers", "dogs=wolves")
    merge(["tigers", "wolves"], NameOptions(clusters=str(desk.out)))
    moved = pictures(desk.out / "2")[0]
    moved.rename(desk.out / "0 tigers" / moved.name)
    correct(CorrectOptions(clusters=str(desk.out), out=str(file)))
    with file.open(newline="") as table:
        written = list(csv.DictReader(table))
    assert sorted(row["cluster"] for row in written) == ["tigers", "tigers", "tigers", "unsorted"]


def corrected_again(
    desk: Desk, rows: list[str], *new: str, then: Callable[[Path], object] = str
) -> list[str]:
    """What the file says of red0 after clusters got new names since it was used, and then a correction."""
    desk.cluster()
    give(desk, "0=cats", "1=dogs")
    file = desk.folder / "edits.csv"
    file.write_text(
        "\n".join(["key,path,cluster,name", *(f",photos/red/red0.png,{row}," for row in rows), ""])
    )
    desk.cluster(edits=str(file))
    give(desk, *new)
    then(file)
    to, away = (next(desk.out.glob(f"{number}*")) for number in (0, 2))
    moved = next(path for path in pictures(away) if path.name != "red0.png")
    moved.rename(to / moved.name)
    correct(CorrectOptions(clusters=str(desk.out), out=str(file)))
    with file.open(newline="") as table:
        return sorted(row["cluster"] for row in csv.DictReader(table) if row["path"].endswith("red0.png"))


def test_an_image_may_be_in_none_of_several_clusters(desk: Desk) -> None:
    said = corrected_again(desk, ["not cats", "not dogs"], "0=tigers", "1=wolves")
    assert said == ["not tigers", "not wolves"]


def test_a_correction_goes_with_its_cluster_where_names_are_exchanged(desk: Desk) -> None:
    assert corrected_again(desk, ["cats"], "0=dogs", "1=cats") == ["dogs"]


@pytest.mark.parametrize("other", ["dogs", "foxes", "not cats", "2", "unsorted"])
def test_what_a_person_wrote_into_the_file_meanwhile_is_kept(desk: Desk, other: str) -> None:
    def put_elsewhere(file: Path) -> None:
        file.write_text(file.read_text().replace(",cats,", f",{other},"))

    assert corrected_again(desk, ["cats"], "2=birds", then=put_elsewhere) == [other]


def test_not_that_cluster_and_images_known_by_their_content(desk: Desk) -> None:
    desk.cluster()
    give(desk, "0=cats")
    image = pictures(desk.out / "0 cats")[0].name
    original = next(path for path in pictures(desk.photos) if path.name == image)
    edits = desk.folder / "mine.csv"
    edits.write_text(f"path,cluster\nphotos/{original.parent.name}/{image},not cats\n")
    desk.cluster(edits=str(edits))
    assert image not in {path.name for path in pictures(desk.out / "0 cats")}
    original.rename(desk.photos / "renamed.png")
    desk.extract()
    desk.cluster()
    assert "renamed.png" not in {path.name for path in pictures(desk.out / "0 cats")}
    assert len(pictures(desk.out / "0 cats")) == 4


def test_an_accent_is_the_same_composed_or_not(desk: Desk) -> None:
    """Mac and Linux type and store it in two ways."""
    composed, apart = "caf\u00e9", "cafe\u0301"
    desk.cluster()
    give(desk, f"0={composed}", "1=tea")
    with pytest.raises(UsageError, match="2 clusters would be called"):
        give(desk, f"1={apart}")
    give(desk, f"{apart}=coffee")
    give(desk, f"coffee={apart}")
    edits = desk.folder / "mine.csv"
    image = pictures(desk.out / "1 tea")[0].name
    edits.write_text(
        f"path,cluster,name\nphotos/{image.rstrip('0123456789.png')}/{image},{apart}\n,{apart},{apart}s\n"
    )
    desk.cluster(edits=str(edits))
    assert image in {path.name for path in pictures(desk.out / f"0 {composed}s")}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["photos/red/red0.png,cats", "photos/red/red0.png,dogs"], "line 3 dogs of the same image"),
        (["photos/red/red0.png,cats", "photos/red/red0.png,not cats"], "line 3 not cats of the same image"),
        ([",0,cats", ",0,dogs"], "line 2 calls cluster 0 cats, line 3 dogs"),
        ([",0,cats", ",red,dogs"], "calls cluster 0 both cats and dogs"),
        (["photos/nowhere.png,cats"], "line 2: no image"),
        (["photos/red/red0.png,a/b"], "line 2: a/b is a path"),
        (["photos/red/red0.png,"], "line 2: a name cannot be empty"),
        (["photos/red/red0.png,not cats"], "no cluster is called cats"),
        ([f"photos/red/red{i}.png,{i}a" for i in range(4)], "choose --k 4"),
        (["photos/red/red0.png,7"], "speaks of cluster 7: there are 0, 1, 2; a new one needs a name"),
        (["photos/red/red0.png,not "], "line 2: no cluster can be called 'not'"),
        ([",,cats"], "line 2: the name cats is given to no cluster"),
    ],
)
def test_edits_that_cannot_be_change_nothing(desk: Desk, rows: list[str], said: str) -> None:
    desk.cluster()
    give(desk, "0=red")
    before = everything(desk.out)
    file = desk.folder / "wrong.csv"
    file.write_text("\n".join(["path,cluster,name", *rows]))
    with pytest.raises(ImgclusterError) as error:
        desk.cluster(edits=str(file))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert everything(desk.out) == before


@pytest.mark.parametrize("mode", ["symlink", "move"])
def test_what_was_put_into_unsorted_by_hand_fits_nowhere_from_then_on(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    chosen = pictures(desk.out / "1")[:3]  # most of the cluster: that is not a new name of it
    (desk.out / "unsorted").mkdir()
    for path in chosen:
        path.rename(desk.out / "unsorted" / path.name)
    names = {path.name for path in chosen}
    put_right(desk, mode=mode)
    for k in (4, 2, 3):
        assert {path.name for path in pictures(desk.out / "unsorted")} == names
        assert read_manifest(str(desk.out)).k == len(folders(desk)) - 1
        desk.cluster(k, mode=mode)
    paths = [Path(placement.path) for placement in read_assignments(str(desk.out))]
    assigned = assign(paths, AssignOptions(clusters=str(desk.out))).images
    assert {Path(image.path).name for image in assigned if image.cluster == -1} == names
    back = pictures(desk.out / "unsorted")[0]
    back.rename(desk.out / "0" / back.name)
    put_right(desk, mode=mode)
    assert back.name in {path.name for path in pictures(desk.out / "0")}
    assert len(pictures(desk.out / "unsorted")) == 2


def test_so_much_is_left_over_for_clusters(desk: Desk) -> None:
    edits = desk.folder / "edits.csv"
    rows = [f"{path},unsorted" for path in pictures(desk.photos)[2:]]
    edits.write_text("\n".join(["path,cluster", *rows]))
    with pytest.raises(ImgclusterError, match="3 clusters of 2 distinct images cannot be made: choose --k 2"):
        desk.cluster(3, edits=str(edits))
    result = desk.cluster(2, edits=str(edits))
    assert (result.sizes, result.unsorted) == ((1, 1), IMAGES - 2)


def test_merged_clusters_stay_together_and_take_their_new_images(desk: Desk) -> None:
    desk.cluster()
    give(desk, "1=grass")
    merge(["0", "grass"], NameOptions(clusters=str(desk.out)))
    assert set(folders(desk)) == {"0 grass", "2"}
    manifest = read_manifest(str(desk.out))
    assert [(each.number, each.size) for each in manifest.clusters] == [(0, 10), (2, 5)]
    assigned = assign([desk.photos], AssignOptions(clusters=str(desk.out)))
    assert {each.cluster for each in assigned.images} == {0, 2}
    desk.cluster(4)
    assert len(folders(desk)["0 grass"]) == 2
    give(desk, "2=sky")
    merge(["grass", "sky"], NameOptions(clusters=str(desk.out)), progress=desk.progress)
    assert desk.progress.said("0 grass: the name sky is given up")
    for _ in range(4):
        undo(UndoOptions(clusters=desk.out))
    assert set(folders(desk)) == {"0", "1 grass", "2"}
    for wrong in (["0"], ["0", "0"], ["0", "9"]):
        with pytest.raises(UsageError):
            merge(wrong, NameOptions(clusters=str(desk.out)))


def test_where_nothing_was_moved_there_is_nothing_to_keep(desk: Desk) -> None:
    desk.cluster()
    with pytest.raises(UsageError, match=r"nothing .* was moved"):
        correct(CorrectOptions(clusters=str(desk.out), out=str(desk.folder / "edits.csv")))


@pytest.mark.parametrize("mode", ["symlink", "copy", "move"])
def test_new_images_are_placed_once_and_taken_back_by_undo(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    give(desk, "0=cats")
    colour = next(iter(folders(desk)["0 cats"]))
    before = {path.relative_to(desk.out): path.lstat().st_ino for path in pictures(desk.out)}
    for number in range(2):
        write_image(desk.folder / "new" / f"{colour}{70 + number}.png", COLOURS[colour], noise=70 + number)
    for placed in (2, 0):
        done = assign(
            [desk.folder / "new"],
            AssignOptions(clusters=str(desk.out), place=True),
            source=FakeSource(),
        )
        assert done.placed == placed
        assert {each.cluster for each in done.images} == {0}
        assert len(pictures(desk.out / "0 cats")) == 7
    after = {path.relative_to(desk.out): path.lstat().st_ino for path in pictures(desk.out)}
    assert before.items() <= after.items()
    undo(UndoOptions(clusters=desk.out))
    assert len(pictures(desk.folder / "new")) == 2
    assert len(pictures(desk.out)) == IMAGES


def test_an_edit_holds_for_assign_too(desk: Desk) -> None:
    desk.cluster()
    image = pictures(desk.photos / "red")[0]
    was = {p.original: p.cluster for p in read_assignments(str(desk.out))}[str(image)]
    file = desk.folder / "edits.csv"
    for cluster in (f"not {was}", str((was + 1) % 3)):
        file.write_text(f"path,cluster\n{image},{cluster}\n")
        desk.cluster(edits=str(file))
        made = {p.original: p.cluster for p in read_assignments(str(desk.out))}[str(image)]
        (assigned,) = assign([image], AssignOptions(clusters=str(desk.out))).images
        assert assigned.cluster == made != was


def test_with_edits_too_an_image_of_the_clustering_is_assigned_where_it_is(desk: Desk) -> None:
    """Its neighbours have a say in that, and the model knows none of them."""
    colours = np.random.default_rng(1).integers(0, 255, (120, 3))
    images = [write_image(desk.photos / f"{n}.png", (r, g, b)) for n, (r, g, b) in enumerate(colours)]
    desk.extract()
    desk.cluster()
    edits = desk.folder / "edits.csv"
    edits.write_text("path,cluster\n" + "".join(f"{image},{n % 3}\n" for n, image in enumerate(images[:12])))
    desk.cluster(edits=str(edits))
    made = {p.original: p.cluster for p in read_assignments(str(desk.out))}
    assigned = assign([desk.photos], AssignOptions(clusters=str(desk.out))).images
    assert {image.original: image.cluster for image in assigned} == made
    table = desk.out / "assignments.csv"
    table.write_text(re.sub(r"(?m),\d,", ",77,", table.read_text()))
    assert 77 in {placement.cluster for placement in read_assignments(str(desk.out))}
    assigned = assign([desk.photos], AssignOptions(clusters=str(desk.out))).images
    assert {image.cluster for image in assigned} == set(made.values())


def test_few_stand_for_many(desk: Desk) -> None:
    desk.cluster()
    options = {"clusters": str(desk.out), "store": desk.store}
    distances = {p.key: p.distance for p in read_assignments(str(desk.out))}
    central, odd = (pick(PickOptions(n=4, how=how, **options)).images for how in ("central", "odd"))
    assert max(distances[i.key] for i in central) <= min(distances[i.key] for i in odd)
    diverse = pick(PickOptions(n=3, how="diverse", **options)).images
    assert {image.cluster for image in diverse} == {0, 1, 2}
    assert diverse == pick(PickOptions(n=3, how="diverse", **options)).images
    each = pick(PickOptions(n=2, how="borderline", per_cluster=True, **options)).images
    assert [image.cluster for image in each] == [0, 0, 1, 1, 2, 2]


def test_that_there_are_fewer_than_were_asked_for_is_said(desk: Desk) -> None:
    desk.cluster()
    options = {"clusters": str(desk.out), "store": desk.store}
    pick(PickOptions(n=6, **options), progress=desk.progress)
    assert not desk.progress.said("only")
    assert len(pick(PickOptions(n=40, **options), progress=desk.progress).images) == IMAGES
    assert desk.progress.said("there are only 15 images: all are chosen")
    for photo in desk.photos.rglob("*.*g"):
        photo.unlink()
    for copy in sorted(desk.out.glob("*/*.*g"))[1:]:
        copy.unlink()
    pick(PickOptions(n=40, **options), progress=desk.progress)
    assert desk.progress.said("there is only 1 image: it is chosen")


def test_that_clusters_hold_fewer_than_were_asked_for_is_said(desk: Desk) -> None:
    desk.cluster()
    options = {"clusters": str(desk.out), "store": desk.store}
    pick(PickOptions(n=6, per_cluster=True, **options), progress=desk.progress)
    assert desk.progress.said("3 of 3 clusters hold fewer than 6 images")


def test_picked_images_get_a_folder_and_stay_where_they_are(desk: Desk) -> None:
    desk.cluster()
    out = desk.folder / "picked"
    options = PickOptions(n=4, clusters=str(desk.out), out=str(out))
    pick(options)
    assert len(pictures(out)) == 4
    assert len(pictures(desk.photos)) == IMAGES
    before = everything(out)
    with pytest.raises(ImgclusterError, match="there already"):
        pick(options)
    assert everything(out) == before


def test_what_changed_from_one_clustering_to_another(desk: Desk) -> None:
    for number in range(3):
        write_image(desk.photos / "red" / f"red{90 + number}.png", COLOURS["red"], noise=90 + number)
    desk.extract()
    desk.cluster()
    other = desk.folder / "other"
    desk.cluster(2, out=other)
    apart = diff(str(desk.out), str(other))
    assert sorted(each.verdict for each in apart.clusters) == ["merged", "stayed", "stayed"]
    assert len(apart.moved) == 5
    assert [each.silhouette for each in apart.moved] == sorted(each.silhouette for each in apart.moved)
    back = diff(str(other), str(desk.out))
    assert {each.verdict for each in back.clusters} <= {"stayed", "split"}
    assert diff(str(desk.out), str(desk.out)).moved == ()


def test_examples_name_clusters_and_are_not_sorted_themselves(desk: Desk) -> None:
    shown = desk.folder / "examples"
    for colour in ("red", "blue"):
        write_image(shown / f"{colour} ones" / "a.png", COLOURS[colour], noise=81)
    desk.extract(desk.photos, shown)
    desk.cluster(3, examples=str(shown))
    there = folders(desk)
    assert {name.partition(" ")[2]: colours for name, colours in there.items()} == {
        "red ones": {"red"},
        "blue ones": {"blue"},
        "": {"green"},
    }
    assert len(pictures(desk.out)) == IMAGES
    desk.cluster(examples=str(shown), only_examples=True, out=desk.folder / "only")
    assert {path.name.partition(" ")[2] for path in (desk.folder / "only").iterdir() if path.is_dir()} == {
        "red ones",
        "blue ones",
    }


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "holds no folders"),
        (["red/a.png", "blue/b.png"], "the same image"),
        (["red/a.txt"], "holds no image"),
        (["not red/a.png"], "no cluster can be called"),
    ],
)
def test_examples_that_cannot_be_change_nothing(desk: Desk, files: list[str], said: str) -> None:
    shown = desk.folder / "examples"
    shown.mkdir()
    for file in files:
        (shown / file).parent.mkdir(exist_ok=True)
        shutil.copy(pictures(desk.photos)[0], shown / file)
    if any(file.endswith("png") for file in files):
        desk.extract(desk.photos, shown)
    with pytest.raises(ImgclusterError, match=said):
        desk.cluster(examples=str(shown))
    assert not desk.out.exists()


def test_edits_follow_a_folder_that_is_renamed_by_hand_and_then_in_a_file(desk: Desk) -> None:
    edits = desk.folder / "edits.csv"
    edits.write_text(f"path,cluster\n{pictures(desk.photos)[0]},cats\n")
    desk.cluster(edits=str(edits))
    (folder,) = desk.out.glob("* cats")
    number = folder.name.split()[0]
    folder.rename(desk.out / "dogs")
    edits.write_text(f"cluster,name,path\n{number},birds,\n")
    desk.cluster(edits=str(edits))
    assert set(read_manifest(str(desk.out)).names.values()) == {"birds"}
    assert "dogs" not in (desk.out / "edits.csv").read_text()


def test_a_sweep_is_a_page_with_the_names_that_there_are(desk: Desk) -> None:
    desk.cluster()
    give(desk, "0=cats")
    for image in pictures(desk.photos):
        image.chmod(0o600)
    out = desk.folder / "sweep"
    options = SweepOptions(
        k="2:4",
        store=desk.store,
        clusters=str(desk.out),
        restarts=3,
        algorithm="kmeans",
        network=("fake",),
        no_lock=True,
        out=str(out),
    )
    result = sweep((), options)
    for _ in range(2):  # the second takes the place of the first
        page = report_sweep(result, options, (), thumbnails=str(desk.folder / "thumbnails"))
    text = Path(page).read_text()
    data = json.loads(text.partition('id="sweep-data">')[2].partition("</script>")[0])
    assert [step["k"] for step in data["steps"]] == [2, 3, 4]
    assert len(data["tiles"]) == IMAGES
    assert "cats" in data["steps"][1]["names"].values()
    command = shlex.split(data["steps"][1]["command"])
    for option in ("--k 3", "--algorithm kmeans", "--restarts 3", "--network fake", f"--clusters {desk.out}"):
        assert option in " ".join(command)
    for option in (f"--store {desk.store}", f"--out {Path.cwd() / 'clusters'}"):
        assert option in " ".join(command)
    assert Path(page).is_absolute()
    assert "--no-lock" in command
    assert "--seed" not in command
    assert {path.stat().st_mode & 0o777 for path in (out / "report" / "thumbnails").rglob("*.jpg")} == {0o600}
    # Whoever stays together keeps the colour.
    two, three = (step["groups"] for step in data["steps"][:2])
    assert sum(a == b for a, b in zip(two, three, strict=True)) >= 10
