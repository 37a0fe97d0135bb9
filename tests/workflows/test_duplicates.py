"""What `duplicates` promises: groups, a copy to keep in each of them, and that nothing is ever deleted."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from clusterings import Desk, desk_with_photos, pictures
from fakes import FakeSource, write_image

from imgcluster.analysis.neighbours import Pair, near_duplicates
from imgcluster.cli.places import choose_network
from imgcluster.errors import ImgclusterError
from imgcluster.workflows.duplicates import DuplicatesResult, duplicates
from imgcluster.workflows.extract import ExtractOptions, extract
from imgcluster.workflows.options import DuplicatesOptions

EQUAL_ONLY = 1.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path)


def run(desk: Desk, threshold: float = EQUAL_ONLY, **options: str) -> DuplicatesResult:
    return duplicates((), DuplicatesOptions(threshold=threshold, store=desk.store, **options))


def paths(result: DuplicatesResult) -> list[list[str]]:
    return [[copy.path for copy in (group.keep, *group.redundant)] for group in result.groups]


def read_plan(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as table:
        return list(csv.DictReader(table))


def test_equal_files_are_groups_and_nothing_is_deleted(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    before = pictures(desk.photos)
    result = run(desk)
    assert result.images == 20
    expected = [{str(desk.photos / folder / f"red{n}.png") for folder in ("red", "copies")} for n in range(5)]
    assert sorted(map(set, paths(result)), key=sorted) == sorted(expected, key=sorted)
    assert pictures(desk.photos) == before


def test_without_copies_there_are_no_groups(desk: Desk) -> None:
    desk.extract()
    assert run(desk).groups == ()


def test_a_plan_keeps_exactly_one_of_each_group(desk: Desk) -> None:
    for number in range(3):
        shutil.copytree(desk.photos / "red", desk.photos / f"copies{number}")
    desk.extract()
    plan = desk.folder / "plan.csv"
    for threshold in (EQUAL_ONLY, 0.95, 0.01):
        result = run(desk, threshold, plan=str(plan))
        rows = read_plan(plan)
        by_group = {
            number: [r["verdict"] for r in rows if r["group"] == number]
            for number in {r["group"] for r in rows}
        }
        assert len(by_group) == len(result.groups) > 0
        assert all(verdicts.count("keep") == 1 and len(verdicts) > 1 for verdicts in by_group.values())
        assert len({row["path"] for row in rows}) == len(rows)


def test_the_order_is_pixels_then_bytes_then_oldest_then_path(desk: Desk) -> None:
    folder = desk.folder / "group"
    original = write_image(folder / "e.png", (200, 90, 30), side=64)
    heavier = folder / "d.png"
    heavier.write_bytes(original.read_bytes() + b"\0")
    smaller = folder / "a.png"
    cv2.imwrite(str(smaller), cv2.resize(cv2.imread(str(original)), (32, 32), interpolation=cv2.INTER_AREA))
    older, same_age = shutil.copy(original, folder / "c.png"), shutil.copy(original, folder / "b.png")
    for path, age in ((original, 300), (heavier, 400), (smaller, 100), (older, 200), (same_age, 300)):
        os.utime(path, (age, age))
    desk.extract(folder)
    (group,) = paths(run(desk, 0.95))
    assert [Path(path).name for path in group] == ["d.png", "c.png", "b.png", "e.png", "a.png"]


def test_pairs_that_someone_judged_to_differ_stay_apart_in_later_runs(desk: Desk) -> None:
    desk.extract()
    whole = run(desk, 0.99)
    reds = next(group for group in whole.groups if "red" in group.keep.path)
    lone = reds.redundant[0]
    decisions = desk.folder / "decisions.csv"
    rows = [f"{lone.key.hex()},{copy.key.hex()}" for copy in (reds.keep, *reds.redundant) if copy is not lone]
    decisions.write_text("\n".join(["key_a,key_b", *rows]))
    for _ in range(2):
        found = paths(run(desk, 0.99, decisions=str(decisions)))
        assert lone.path not in itertools.chain(*found)
        assert len(found) == len(whole.groups)


def test_decisions_that_cannot_be_read_are_an_error_that_names_the_line(desk: Desk) -> None:
    desk.extract()
    decisions = desk.folder / "decisions.csv"
    decisions.write_text("a,b\n")
    with pytest.raises(ImgclusterError, match="key_a and key_b"):
        run(desk, decisions=str(decisions))
    decisions.write_text("key_a,key_b\n00,zz\n")
    with pytest.raises(ImgclusterError, match="line 2"):
        run(desk, decisions=str(decisions))


def test_a_plan_is_never_written_over_anything_but_a_plan(desk: Desk) -> None:
    desk.extract()
    decisions = desk.folder / "decisions.csv"
    decisions.write_text("key_a,key_b\n")
    for other in (decisions, Path(desk.store), pictures(desk.photos)[0]):
        before = other.read_bytes()
        with pytest.raises(ImgclusterError, match="holds something else"):
            run(desk, plan=str(other))
        assert other.read_bytes() == before


def test_an_original_that_is_cut_short_does_not_lose_for_it(desk: Desk) -> None:
    large = write_image(desk.photos / "large.jpg", (200, 90, 30), side=300)
    small = desk.photos / "small.jpg"
    cv2.imwrite(str(small), cv2.resize(cv2.imread(str(large)), (60, 60), interpolation=cv2.INTER_AREA))
    large.write_bytes(large.read_bytes()[:-40])
    options = ExtractOptions(store=desk.store, accept_truncated=True)
    extract([large, small], options, source=FakeSource())
    assert paths(run(desk, 0.95)) == [[str(large), str(small)]]


def test_files_that_cannot_be_read_now_are_neither_kept_nor_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    gone = desk.photos / "copies" / "red0.png"

    def lose_it(*arguments: object) -> list[Pair]:
        gone.unlink()
        return near_duplicates(*arguments)

    monkeypatch.setattr("imgcluster.workflows.duplicates.near_duplicates", lose_it)
    result = duplicates((), DuplicatesOptions(threshold=EQUAL_ONLY, store=desk.store), progress=desk.progress)
    assert len(result.groups) == 4
    assert str(gone) not in itertools.chain(*paths(result))
    assert desk.progress.said(f"left out: 1 unreadable image, the first: {gone}: ")


def test_the_same_choice_is_made_each_time(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    plans = []
    for number in range(2):
        run(desk, 0.9, plan=str(desk.folder / f"plan{number}.csv"))
        plans.append((desk.folder / f"plan{number}.csv").read_bytes())
    assert plans[0] == plans[1]


def test_moved_images_are_compared_where_they_are_now(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    desk.cluster(mode="move")
    result = run(desk, clusters=str(desk.out))
    assert len(result.groups) == 5
    assert all(Path(path).is_file() for group in paths(result) for path in group)


@pytest.fixture
def embedded_for_real(tmp_path: Path) -> Callable[[], DuplicatesOptions]:
    def embed() -> DuplicatesOptions:
        store = str(tmp_path / "features.h5")
        options = ExtractOptions(store=store, network="efficientnet_lite2")
        extract([tmp_path], options, choose=choose_network)
        return DuplicatesOptions(store=store)

    return embed


@pytest.mark.slow
def test_an_edited_recompressed_or_resized_copy_is_found_and_the_largest_is_kept(
    assets: Path, tmp_path: Path, embedded_for_real: Callable[[], DuplicatesOptions]
) -> None:
    for age, original in enumerate(sorted((assets / "awkward" / "files").glob("dup_*"))):
        os.utime(shutil.copy(original, tmp_path), (age, age))
    (group,) = paths(duplicates((), embedded_for_real()))
    order = ["c_recompressed.jpg", "e_metadata_only.png", "a.png", "b_exact_copy.png", "d_resized.jpg"]
    assert [Path(path).name for path in group] == [f"dup_{name}" for name in order]


@pytest.mark.slow
def test_most_recompressed_copies_at_half_size_are_found_by_default_and_nothing_else(
    assets: Path, tmp_path: Path, embedded_for_real: Callable[[], DuplicatesOptions]
) -> None:
    for number, original in enumerate(sorted((assets / "images" / "cats_dogs" / "cats").glob("*.jpg"))[:30]):
        picture = cv2.imread(str(original))
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        shutil.copy(original, tmp_path / f"{number}.jpg")
        cv2.imwrite(str(tmp_path / f"{number}-copy.jpg"), half, [cv2.IMWRITE_JPEG_QUALITY, 70])
    groups = paths(duplicates((), embedded_for_real()))
    assert len(groups) > 15
    for one, other in groups:
        assert other == one.replace(".jpg", "-copy.jpg")
