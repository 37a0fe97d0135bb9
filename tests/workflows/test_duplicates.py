"""What `duplicates` promises: groups, a copy to keep in each of them, and that nothing is ever deleted."""

from __future__ import annotations

import csv
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from clusterings import Desk, desk_with_photos, pictures
from fakes import FakeSource
from PIL import Image, ImageDraw, ImageOps

from imgcluster.cli.places import choose_network
from imgcluster.errors import ImgclusterError
from imgcluster.ownership import Ownership
from imgcluster.records import FeatureSpace
from imgcluster.store.lock import WriterLock
from imgcluster.store.schema import create_pictures
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.duplicates import DuplicatesResult, duplicates
from imgcluster.workflows.extract import ExtractOptions, extract
from imgcluster.workflows.image_looks import Remake, pictures_of, remakes
from imgcluster.workflows.options import DuplicatesOptions

EQUAL_ONLY = 1.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path)


def run(desk: Desk, threshold: float = EQUAL_ONLY, **options: str) -> DuplicatesResult:
    return duplicates((), DuplicatesOptions(threshold=threshold, store=desk.store, **options))


def paths(result: DuplicatesResult) -> list[list[str]]:
    return [[group.keep.path, *(copy.file.path for copy in group.copies)] for group in result.groups]


def picture(path: Path, *, side: int = 64, quality: int = 95) -> Path:
    """Large shapes of many colours, as photographs have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(5).integers(20, 236, (6, 6, 3)).astype(np.uint8)
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=quality)
    return path


def photographed(path: Path, side: int, **options: object) -> Path:
    """Shapes and detail as fine as pixels are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = cv2.imread(str(picture(path.parent / "shapes.png", side=side)))
    (path.parent / "shapes.png").unlink()
    grain = np.random.default_rng(1).normal(0, 12, shapes.shape)
    return saved(path, Image.fromarray(np.clip(shapes + grain, 0, 255).astype(np.uint8)), **options)


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
        assert len(by_group) == len(result.groups) + len(result.look_alikes) > 0
        assert all(verdicts.count("keep") == 1 and len(verdicts) > 1 for verdicts in by_group.values())
        could_go = [row for row in rows if row["verdict"] == "could_go"]
        assert len({row["path"] for row in could_go}) == len(could_go) == 15
        told = {(row["kind"], row["cosine"], row["difference"]) for row in could_go}
        assert told == {("equal", "1.0", "0.0")}


def test_the_order_is_pixels_then_bytes_then_oldest_then_path(desk: Desk) -> None:
    folder = desk.folder / "group"
    original = photographed(folder / "e.png", 64)
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
    for number in range(3):
        picture(desk.photos / f"p{number}.jpg", quality=50 + number)
    desk.extract()
    ((*group, lone),) = paths(run(desk, 0.9))
    keys = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (*group, lone)}
    decisions = desk.folder / "decisions.csv"
    rows = [f"{keys[lone]},{keys[other]}" for other in group]
    decisions.write_text("\n".join(["key_a,key_b", *rows]))
    for _ in range(2):
        assert paths(run(desk, 0.9, decisions=str(decisions))) == [group]


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
    large = picture(desk.photos / "large.jpg", side=300)
    small = desk.photos / "small.jpg"
    cv2.imwrite(str(small), cv2.resize(cv2.imread(str(large)), (60, 60), interpolation=cv2.INTER_AREA))
    large.write_bytes(large.read_bytes()[:-8])
    options = ExtractOptions(store=desk.store, accept_truncated=True)
    extract([large, small], options, source=FakeSource(space=FeatureSpace("fake", "00" * 32, 224)))
    assert paths(run(desk, 0.95)) == [[str(large), str(small)]]


def test_files_that_are_gone_now_are_neither_kept_nor_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    gone = desk.photos / "copies" / "red0.png"

    def lose_it(*arguments: object, **more: object) -> object:
        gone.unlink()
        return pictures_of(*arguments, **more)

    monkeypatch.setattr("imgcluster.workflows.duplicates.pictures_of", lose_it)
    result = duplicates((), DuplicatesOptions(threshold=EQUAL_ONLY, store=desk.store), progress=desk.progress)
    assert len(result.groups) == 4
    assert str(gone) not in itertools.chain(*paths(result))
    assert desk.progress.said(f"left out: 1 unreadable image, the first: {gone}: ")


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_smaller_recompressed_and_turned_copies_are_told_from_look_alikes(
    desk: Desk,
) -> None:
    image = Image.open(picture(desk.folder / "mixed" / "original.png", side=200))
    saved(desk.folder / "mixed" / "half.jpg", image.resize((100, 100)))
    saved(desk.folder / "mixed" / "quality.jpg", image, quality=50)
    saved(desk.folder / "mixed" / "turned.png", image.rotate(90))
    other = np.asarray(image).copy()
    other[60:90, 60:90] = 255 - other[60:90, 60:90]
    saved(desk.folder / "mixed" / "animal.png", Image.fromarray(other))
    shutil.copy(desk.folder / "mixed" / "original.png", desk.folder / "mixed" / "same.png")
    desk.extract(desk.folder / "mixed")
    plan = desk.folder / "plan.csv"
    result = run(desk, 0.4, plan=str(plan))
    (group,) = result.groups
    kinds = {Path(copy.file.path).name: copy.kind for copy in group.copies}
    assert Path(group.keep.path).name in {"original.png", "same.png"}
    assert sorted(kinds.values()) == ["equal", *3 * ["same picture"]]
    assert all(0 <= copy.difference < 8 and 0.4 <= copy.cosine <= 1.0001 for copy in group.copies)
    (alike,) = result.look_alikes
    assert [copy.kind for copy in alike.copies] == ["look-alike"]
    assert {Path(alike.keep.path).name, Path(alike.copies[0].file.path).name} <= {
        "animal.png",
        "original.png",
        "same.png",
    }
    assert alike.copies[0].difference > 8
    verdicts = [(row["verdict"], row["kind"]) for row in read_plan(plan)]
    assert verdicts[-2:] == [("keep", ""), ("look_alike", "look-alike")]


def test_thirty_pages_of_text_are_thirty_pages(desk: Desk) -> None:
    random = np.random.default_rng(0)
    folder = desk.folder / "pages"
    folder.mkdir()
    for number in range(30):
        page = Image.new("RGB", (425, 550), "white")
        for line in range(40, 510, 14):
            text = "".join(random.choice(list("etaoin shrdlu "), 60))
            ImageDraw.Draw(page).text((40, line), text, fill="black")
        page.save(folder / f"{number}.png")
    page.save(folder / "copy.jpg", quality=50)
    page.resize((212, 275)).save(folder / "half.png")
    desk.extract(folder, source=FakeSource(space=FeatureSpace("fake", "00" * 32, 224)))
    assert [set(map(os.path.basename, group)) for group in paths(run(desk, 0.4))] == [
        {"29.png", "copy.jpg", "half.png"}
    ]


def test_what_a_camera_made_is_kept_and_not_what_was_blown_up(desk: Desk) -> None:
    image = Image.open(picture(desk.folder / "mixed" / "original.png", side=64))
    exif = Image.Exif()
    exif[271] = "Camera maker"
    exif.get_ifd(0x8769).update({40962: 64, 40963: 64})
    (desk.folder / "mixed" / "original.png").unlink()
    original = saved(desk.folder / "mixed" / "original.jpg", image, exif=exif, quality=95)
    saved(desk.folder / "mixed" / "upscaled.png", image.resize((256, 256)))
    saved(desk.folder / "mixed" / "edited.jpg", image.resize((128, 128)), exif=exif)
    desk.extract(desk.folder / "mixed")
    ((kept, *others),) = paths(run(desk, 0.4))
    assert (kept, len(others)) == (str(original), 2)


def test_what_its_user_prefers_comes_first(desk: Desk) -> None:
    image = Image.open(picture(desk.folder / "mixed" / "large.png", side=64))
    for name in ("a", "b"):
        (desk.folder / "mixed" / name).mkdir()
        saved(desk.folder / "mixed" / name / "small.jpg", image.resize((40, 40)), quality=90 + (name == "a"))
    desk.extract(desk.folder / "mixed")
    folders = [str(desk.folder / "mixed" / name) for name in ("b", "a")]
    found = duplicates((), DuplicatesOptions(store=desk.store, prefer=folders))
    assert [os.path.relpath(path, desk.folder / "mixed") for path in paths(found)[0]] == [
        "b/small.jpg",
        "a/small.jpg",
        "large.png",
    ]


def test_a_preferred_folder_may_be_a_link_and_one_without_images_is_named(desk: Desk) -> None:
    image = Image.open(picture(desk.folder / "mixed" / "large.png", side=64))
    (desk.folder / "mixed" / "best").mkdir()
    small = saved(desk.folder / "mixed" / "best" / "small.jpg", image.resize((40, 40)))
    (desk.folder / "link").symlink_to(desk.folder / "mixed" / "best")
    desk.extract(desk.folder / "mixed")
    options = DuplicatesOptions(store=desk.store, prefer=(str(desk.folder / "link"), str(desk.photos)))
    assert paths(duplicates((), options, progress=desk.progress))[0][0] == str(small)
    assert [n for n in desk.progress.notes if "--prefer" in n] == [
        f"no image lies in {desk.photos}, which --prefer names"
    ]
    desk.progress.notes.clear()
    options = DuplicatesOptions(store=desk.store, prefer=(str(small.parents[1]), str(small.parent)))
    duplicates((), options, progress=desk.progress)
    assert not desk.progress.said("--prefer")


def test_a_store_of_an_earlier_version_learns_what_its_images_look_like_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.folder / "mixed"
    image = Image.open(picture(folder / "original.png", side=64))
    saved(folder / "half.jpg", image.resize((32, 32)))
    desk.extract(folder)
    expected = paths(run(desk))
    with h5py.File(desk.store, "r+") as store:
        del store["pictures"], store["picture_keys"]
        store.attrs["schema"] = 2
    assert paths(run(desk)) == expected
    with FeatureStore(desk.store) as store:
        assert store.pictures(store.keys(store.spaces[0].name))[1].all()
    monkeypatch.setattr("imgcluster.workflows.image_looks._look", None)  # nothing is looked at again
    assert paths(run(desk)) == expected


def test_what_a_store_of_somebody_else_says_of_looks_is_seen_again(desk: Desk) -> None:
    folder = desk.folder / "mixed"
    image = Image.open(picture(folder / "one.png", side=64))
    saved(folder / "other.png", image.rotate(90).crop((0, 0, 64, 40)).resize((64, 64)))
    desk.extract(folder)
    assert run(desk, 0.4).groups == ()
    with FeatureStore(desk.store, "a") as store:
        keys = store.keys(store.spaces[0].name)
        pictures, _ = store.pictures(keys)
    forged = desk.folder / "forged.h5"
    shutil.copy(desk.store, forged)
    with h5py.File(forged, "r+") as file:
        del file["pictures"]
        create_pictures(file)
    with FeatureStore(str(forged), "a") as store:
        store.record_pictures({bytes(key): pictures[0] for key in keys})
    result = duplicates((), DuplicatesOptions(store=str(forged), threshold=0.4))
    assert result.groups == ()


def test_where_a_store_cannot_be_written_its_images_are_looked_at_all_the_same(desk: Desk) -> None:
    folder = desk.folder / "mixed"
    image = Image.open(picture(folder / "original.png", side=64))
    saved(folder / "half.jpg", image.resize((32, 32)))
    desk.extract(folder)
    with h5py.File(desk.store, "r+") as store:
        del store["pictures"], store["picture_keys"]
        store.attrs["schema"] = 2
    before = Path(desk.store).read_bytes()
    with closing(WriterLock(desk.store)):
        result = duplicates((), DuplicatesOptions(store=desk.store), progress=desk.progress)
    assert len(result.groups) == 1
    assert desk.progress.said("not kept for the next time")
    assert Path(desk.store).read_bytes() == before


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
def test_an_edited_recompressed_or_resized_copy_is_found_and_the_best_is_kept(
    assets: Path, tmp_path: Path, embedded_for_real: Callable[[], DuplicatesOptions]
) -> None:
    for age, original in enumerate(sorted((assets / "awkward" / "files").glob("dup_*"))):
        os.utime(shutil.copy(original, tmp_path), (age, age))
    (group,) = paths(duplicates((), embedded_for_real()))
    # Recompressed, it has more bytes, but is younger and shows nothing more.
    order = ["e_metadata_only.png", "a.png", "b_exact_copy.png", "d_resized.jpg", "c_recompressed.jpg"]
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


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("method", ["BILINEAR", "BICUBIC", "LANCZOS"])
def test_what_was_blown_up_later_is_not_kept_for_its_pixels(desk: Desk, kind: str, method: str) -> None:
    folder = desk.folder / "mixed"
    original = photographed(folder / "original.jpg", 200, quality=90)
    small = saved(folder / "small.jpg", Image.open(original).resize((120, 120)))
    large = Image.open(original).resize((400, 400), Image.Resampling[method])
    blown = saved(folder / f"blown.{kind}", large, quality=95)
    for path, age in ((original, 100), (small, 200), (blown, 300)):
        os.utime(path, (age, age))
    desk.extract(folder)
    assert set(paths(run(desk, 0.4))[0][1:]) == {str(small), str(blown)}
    os.utime(blown, (50, 50))  # what is older was not made of it
    desk.extract(folder)
    assert paths(run(desk, 0.4))[0][0] == str(blown)


def test_of_a_picture_that_was_made_smaller_the_larger_is_kept_whatever_their_ages(desk: Desk) -> None:
    folder = desk.folder / "mixed"
    original = photographed(folder / "original.png", 300)
    small = saved(folder / "small.jpg", Image.open(original).resize((150, 150)), quality=95)
    for ages in ((100, 200), (200, 100)):
        for path, age in zip((original, small), ages, strict=True):
            os.utime(path, (age, age))
        desk.extract(folder)
        assert paths(run(desk, 0.4)) == [[str(original), str(small)]]


def test_of_what_was_blown_up_twice_neither_is_kept(desk: Desk) -> None:
    folder = desk.folder / "mixed"
    original = photographed(folder / "original.jpg", 160, quality=90)
    for age, side in ((200, 320), (300, 480)):
        blown = saved(folder / f"{side}.png", Image.open(original).resize((side, side)))
        os.utime(blown, (age, age))
    os.utime(original, (100, 100))
    desk.extract(folder)
    assert paths(run(desk, 0.4))[0][0] == str(original)


def test_no_candidate_is_looked_at_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tried = desk.folder / "mixed", []

    def noted(candidates: list[Remake], *more: object) -> set[bytes]:
        tried.extend(candidates)
        return remakes(candidates, *more)

    monkeypatch.setattr("imgcluster.workflows.duplicates.remakes", noted)
    original = photographed(folder / "original.png", 160)
    blown = saved(folder / "blown.png", Image.open(original).resize((320, 320)))
    other = saved(folder / "other.png", ImageOps.invert(Image.open(original)))
    small = saved(folder / "small.png", Image.open(other).resize((80, 80)))
    for path, age in ((original, 100), (blown, 200), (small, 100), (other, 200)):
        os.utime(path, (age, age))
    desk.extract(folder)
    kept = {group[0] for group in paths(run(desk, 0.4))}
    assert kept == {str(original), str(other)}
    assert len(tried) == len(set(tried)) == 2


def test_pictures_of_other_shapes_are_others(desk: Desk) -> None:
    folder = desk.folder / "mixed"
    folder.mkdir()
    saved(folder / "one.png", Image.new("RGB", (1, 1), (200, 30, 30)))
    saved(folder / "wide.png", Image.new("RGB", (3000, 2), (200, 30, 30)))
    square = Image.open(picture(desk.folder / "square.png", side=90))
    saved(folder / "square.png", square)
    saved(folder / "pulled.png", square.resize((90, 120)))
    saved(folder / "turned.png", square.resize((90, 120)).rotate(90, expand=True).resize((61, 45)))
    desk.extract(folder)
    assert [set(map(os.path.basename, group)) for group in paths(run(desk, 0.4))] == [
        {"pulled.png", "turned.png"}
    ]


@pytest.mark.parametrize("made_of_it", [True, False])
def test_a_png_gives_way_to_an_older_jpeg_of_its_size_only_where_it_was_made_of_it(
    desk: Desk, made_of_it: bool
) -> None:
    jpeg, png = desk.folder / "mixed" / "a.jpg", desk.folder / "mixed" / "a.png"
    if made_of_it:
        saved(png, Image.open(photographed(jpeg, 200, quality=90)))
    else:
        saved(jpeg, Image.open(photographed(png, 200)), quality=90)
    for path, age in ((jpeg, 100), (png, 200)):
        os.utime(path, (age, age))
    desk.extract(desk.folder / "mixed")
    assert paths(run(desk, 0.4))[0][0] == str(jpeg if made_of_it else png)


@pytest.mark.slow
def test_six_thousand_alike_frames_take_seconds_and_little_memory(desk: Desk) -> None:
    frame, random = cv2.imread(str(picture(desk.folder / "frame.png"))), np.random.default_rng(0)
    (desk.folder / "lapse").mkdir()
    for number in range(6000):
        noisy = np.clip(frame + random.integers(-3, 4, frame.shape), 0, 255)
        cv2.imwrite(str(desk.folder / "lapse" / f"{number:04}.jpg"), noisy)
    owner = Ownership(str(desk.folder / "state"))
    extract([desk.folder / "lapse"], ExtractOptions(store=desk.store), source=FakeSource(), owner=owner)
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, desk.store, str(desk.folder / "state")],
        capture_output=True,
        check=True,
        text=True,
    )
    copies, seconds, megabytes = map(float, done.stdout.split())
    assert copies == 5999
    assert seconds < 30
    assert megabytes < 500


COUNTED = """
import resource, sys
from pathlib import Path
from imgcluster.ownership import Ownership
from imgcluster.workflows.duplicates import duplicates
from imgcluster.workflows.options import DuplicatesOptions
found = duplicates((), DuplicatesOptions(store=sys.argv[1]), owner=Ownership(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF)
copies = sum(len(group.copies) for group in found.groups)
# Not ru_maxrss: that is what the process was before it became this one, if it was larger then.
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(copies, used.ru_utime + used.ru_stime, int(peak) >> 10)
"""
