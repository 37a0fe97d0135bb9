"""What `cluster` promises, on images that a stand-in network embedded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from clusterings import COLOURS, IMAGES, Desk, backdate, contents, desk_with_photos, pictures
from fakes import FakeNetwork, FakeSource, write_image, write_images

from imgcluster.errors import ImgclusterError, StoreError, UsageError
from imgcluster.output.life import new_tree
from imgcluster.output.manifest import read_assignments, read_manifest
from imgcluster.output.marker import Marker, write_marker
from imgcluster.records import Embeddings, FeatureSpace, Pixels
from imgcluster.workflows import cluster as workflow
from imgcluster.workflows.name import name as name_clusters
from imgcluster.workflows.options import ClusterOptions, NameOptions, UndoOptions
from imgcluster.workflows.undo import undo

WRITTEN = ("assignments.csv", "clustering.json", "model.npz")
OTHER = FeatureSpace("other", "11" * 32, 16)


def written(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in WRITTEN]


# Folders.


@pytest.mark.parametrize("mode", ["auto", "hardlink", "symlink", "copy", "move"])
def test_images_arrive_byte_for_byte_under_their_own_names(desk: Desk, mode: str) -> None:
    before = contents(pictures(desk.photos))
    result = desk.cluster(mode=mode)
    assert (result.k, result.images, result.sizes, result.missing) == (3, IMAGES, (5, 5, 5), 0)
    for number in range(3):
        names = {path.stem.rstrip("0123456789") for path in pictures(desk.out / str(number))}
        assert len(names) == 1
    assert contents(pictures(desk.out)) == before
    assert len(pictures(desk.photos)) == (0 if mode == "move" else IMAGES)


def test_of_very_many_images_there_is_a_table_and_folders_where_they_are_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = desk.cluster()
    labels = {image.original: image.cluster for image in read_assignments(str(desk.out))}
    monkeypatch.setattr(workflow, "MOST_IN_FOLDERS", IMAGES - 1)
    table = desk.cluster()
    assert (table.mode, table.sizes, table.bytes_to_copy) == ("table", folders.sizes, 0)
    assert desk.progress.said("for folders name a --mode")
    assert sorted(table.files) == sorted(map(str, pictures(desk.photos)))
    assert not pictures(desk.out)
    assert not [entry for entry in desk.out.iterdir() if entry.name.isdigit()]
    told = read_assignments(str(desk.out))
    assert {image.original: image.cluster for image in told} == labels
    assert all(image.shown == image.path == image.original for image in told)
    name_clusters(["0=red"], NameOptions(clusters=str(desk.out)))
    assert read_manifest(str(desk.out)).names == {0: "red"}
    assert {image.original: image.cluster for image in read_assignments(str(desk.out))} == labels
    assert desk.cluster(mode="symlink").mode == "symlink"
    assert len(pictures(desk.out)) == IMAGES
    monkeypatch.setattr(workflow, "MOST_IN_FOLDERS", IMAGES)
    assert desk.cluster().mode == "auto"


def test_images_that_were_moved_into_the_clusters_stay_in_folders_beside_a_table(desk: Desk) -> None:
    before = contents(pictures(desk.photos))
    desk.cluster(mode="move")
    write_image(desk.photos / "more" / "green.png", COLOURS["green"], noise=99)
    desk.extract()
    desk.cluster(2, mode="table", out=desk.out)
    assert contents(pictures(desk.out)) == before
    assert {image.path != image.original for image in read_assignments(str(desk.out))} == {True, False}
    undo(UndoOptions(clusters=desk.out, all=True))
    assert len(pictures(desk.photos)) == IMAGES + 1


def test_the_largest_cluster_is_number_0(desk: Desk) -> None:
    write_images(desk.photos / "more", 4, {"blue": COLOURS["blue"], "green": COLOURS["green"]})
    for number in range(3):
        write_image(desk.photos / "most" / f"blue{number}.png", COLOURS["blue"], noise=100 + number)
    desk.extract()
    result = desk.cluster()
    assert result.sizes == (12, 9, 5)
    assert all(path.name.startswith("blue") for path in pictures(desk.out / "0"))


def test_equal_files_all_arrive_and_count_as_files(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    result = desk.cluster()
    assert (result.images, result.sizes) == (20, (10, 5, 5))
    assert contents(pictures(desk.out)) == contents(pictures(desk.photos))


def test_a_dry_run_tells_the_same_and_writes_nothing(desk: Desk) -> None:
    before = sorted(desk.folder.rglob("*"))
    told = desk.cluster(mode="copy", dry_run=True)
    assert sorted(desk.folder.rglob("*")) == before
    made = desk.cluster(mode="copy")
    assert (told.k, told.images, told.sizes, told.inertia) == (made.k, made.images, made.sizes, made.inertia)
    assert told.bytes_to_copy == sum(path.stat().st_size for path in pictures(desk.photos))


def test_a_dry_run_recovers_nothing(desk: Desk) -> None:
    desk.cluster()
    left = Path(new_tree(str(desk.out)))
    left.mkdir()
    write_marker(str(left), Marker(2, building=True))
    before = sorted(desk.folder.rglob("*"))
    desk.cluster(dry_run=True)
    assert sorted(desk.folder.rglob("*")) == before
    desk.cluster()
    assert not left.exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_whether_the_folder_may_be_replaced_is_looked_at_before_the_long_work(
    desk: Desk, dry_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcluster.workflows.cluster.find_clusters", None)
    desk.out.mkdir()
    (desk.out / "letter.txt").write_text("mine")
    with pytest.raises(ImgclusterError, match="not made by imgcluster"):
        desk.cluster(dry_run=dry_run)
    with pytest.raises(ImgclusterError, match="holds images itself"):
        desk.cluster(out=desk.photos / "red", dry_run=dry_run)


def test_a_foreign_file_stops_it_and_force_keeps_it(desk: Desk) -> None:
    desk.cluster()
    (desk.out / "0" / "notes.txt").write_text("mine")
    with pytest.raises(ImgclusterError, match=r"notes\.txt"):
        desk.cluster(2)
    assert len(list(desk.out.glob("[0-9]"))) == 3
    desk.cluster(2, force=True)
    assert "mine" in [path.read_text() for path in desk.out.rglob("notes.txt")]


def test_a_folder_of_others_is_refused(desk: Desk) -> None:
    desk.out.mkdir()
    (desk.out / "letter.txt").write_text("mine")
    with pytest.raises(ImgclusterError, match="not made by imgcluster"):
        desk.cluster()
    assert [path.name for path in desk.out.iterdir()] == ["letter.txt"]


def test_clusters_inside_the_photos_do_not_feed_back(desk: Desk) -> None:
    desk.cluster(out=desk.photos / "clusters")
    desk.extract()
    assert desk.cluster(2, out=desk.photos / "clusters").images == IMAGES


def test_moved_images_are_clustered_again_with_another_k_and_go_back(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in pictures(desk.photos)}
    desk.cluster(3, mode="move")
    result = desk.cluster(2, mode="move")
    assert (result.k, result.images, result.missing) == (2, IMAGES, 0)
    again = desk.cluster(3)
    assert (again.images, again.sizes) == (IMAGES, (5, 5, 5))
    assert {p.original for p in read_assignments(str(desk.out))} == {str(path) for path in before}
    undo(UndoOptions(clusters=desk.out, all=True))
    assert {path: path.read_bytes() for path in pictures(desk.photos)} == before
    assert not desk.out.exists()


def test_a_new_image_at_the_old_path_of_a_moved_one_does_not_evict_it(desk: Desk) -> None:
    old = desk.photos / "red" / "red0.png"
    before = old.read_bytes()
    desk.cluster(mode="move")
    write_image(old, COLOURS["blue"], noise=99)
    backdate(desk.photos)
    desk.extract()
    result = desk.cluster(mode="move")
    assert (result.images, sorted(result.sizes), result.missing) == (IMAGES + 1, [5, 5, 6], 0)
    assert before in contents(pictures(desk.out))
    # Both came from one path: one can go back there, and none is lost.
    everything = contents(pictures(desk.out))
    assert len(undo(UndoOptions(clusters=desk.out, all=True)).left) == 1
    assert contents(pictures(desk.folder)) == everything


def test_an_edited_moved_image_is_left_out_until_it_is_extracted_where_it_lies(desk: Desk) -> None:
    desk.cluster(mode="move")
    edited = write_image(pictures(desk.out / "0")[0], (220, 220, 220))
    assert desk.cluster(dry_run=True, force=True).changed == 1
    assert desk.progress.said(str(edited))
    desk.extract(edited)
    result = desk.cluster(4, mode="move", force=True)
    assert (result.images, result.missing, result.changed) == (IMAGES, 0, 0)
    assert sorted(result.sizes) == [1, 4, 5, 5]


def test_a_moved_image_that_somebody_moved_on_is_found_there(desk: Desk) -> None:
    desk.cluster(mode="move")
    moved = pictures(desk.out / "0")[0]
    moved.rename(desk.out / "1" / "other name.png")
    with pytest.raises(ImgclusterError, match="imgcluster correct"):
        desk.cluster(mode="move")
    result = desk.cluster(mode="move", force=True)
    assert (result.images, result.missing) == (IMAGES, 0)
    assert len(pictures(desk.out)) == IMAGES


def test_moved_images_can_be_extracted_again_where_they_lie(desk: Desk) -> None:
    desk.cluster(mode="move")
    other = FakeSource(space=OTHER)
    with pytest.raises(ImgclusterError, match="cluster folders themselves"):
        desk.extract(desk.out, source=other)
    desk.extract(*(desk.out / str(number) for number in range(3)), source=other)
    for k in (2, 3, 4):
        result = desk.cluster(k, network=("other",), mode="move")
        assert (result.images, result.missing, result.changed) == (IMAGES, 0, 0)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert len(pictures(desk.photos)) == IMAGES


def test_moved_images_are_found_from_another_folder(desk: Desk) -> None:
    desk.cluster(mode="move")
    elsewhere = desk.folder / "elsewhere"
    with pytest.raises(ImgclusterError, match=rf"{IMAGES} images gone .*photos.*--clusters"):
        desk.cluster(2, out=elsewhere)
    with pytest.raises(ImgclusterError, match=r"no clustering in .*nowhere"):
        desk.cluster(2, out=elsewhere, clusters=str(desk.folder / "nowhere"))
    for mode in ("hardlink", "copy", "copy", "symlink"):
        result = desk.cluster(2, out=elsewhere, clusters=str(desk.out), mode=mode)
        assert (result.images, result.missing) == (IMAGES, 0)
        assert sorted(path.name for path in elsewhere.iterdir() if path.is_dir()) == ["0", "1"]
        assert all(p.path == p.original for p in read_assignments(str(elsewhere)))
    assert len(pictures(desk.out)) == IMAGES
    moved_on = desk.cluster(2, out=elsewhere, clusters=str(desk.out), mode="move")
    assert (moved_on.images, len(pictures(elsewhere)), len(pictures(desk.out))) == (IMAGES, IMAGES, 0)
    undo(UndoOptions(clusters=elsewhere))
    assert len(pictures(desk.photos)) == IMAGES


def test_paths_mean_moved_images_by_where_they_were_and_by_where_they_are(desk: Desk) -> None:
    desk.cluster(mode="move")
    assert desk.cluster(2, desk.photos / "red", dry_run=True).images == 5
    assert desk.cluster(1, desk.photos / "red" / "red0.png", dry_run=True).images == 1
    shutil.rmtree(desk.photos / "blue")
    assert desk.cluster(2, desk.photos / "blue", dry_run=True).images == 5
    assert desk.cluster(2, desk.out / "1", dry_run=True).images == 5


def test_images_moved_from_another_store_do_not_count(desk: Desk) -> None:
    desk.cluster(mode="move")
    other = Desk(desk.folder / "other")
    for number, colour in enumerate([*COLOURS.values()] * 2):
        write_image(other.photos / f"{number}.png", colour, noise=100 + number)
    other.extract()
    result = other.cluster(2, out=other.out, clusters=str(desk.out))
    assert (result.images, result.missing, result.unembedded) == (6, 0, 0)


# How many clusters.


def test_k_can_be_found(desk: Desk) -> None:
    result = desk.cluster(None)
    assert result.sizes == (5, 5, 5)
    assert desk.progress.said("k = 3: ")


def test_more_clusters_than_images_are_an_error(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match=f"{IMAGES + 1} clusters"):
        desk.cluster(IMAGES + 1)
    assert not desk.out.exists()
    assert desk.cluster(IMAGES).sizes == (1,) * IMAGES


def test_fewer_distinct_images_make_fewer_clusters_and_a_line_says_so(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path, 1)
    for number in range(4):
        shutil.copytree(desk.photos / "red", desk.photos / f"copies{number}")
    desk.extract()
    result = desk.cluster(5)
    assert (result.k, result.images, result.sizes) == (3, 7, (5, 1, 1))
    assert desk.progress.said("only 3 ")
    assert sorted(path.name for path in desk.out.iterdir() if path.is_dir()) == ["0", "1", "2"]


def test_images_that_differ_in_their_bytes_only_make_fewer_clusters_too(desk: Desk) -> None:
    for number in range(3):
        picture = desk.photos / "same" / f"{number}.png"
        write_image(picture, (9, 9, 9))
        picture.write_bytes(picture.read_bytes() + b"\0" * number)
    desk.extract()
    result = desk.cluster(3, desk.photos / "same")
    assert (result.k, result.sizes) == (1, (3,))
    assert desk.progress.said("only 1 ")


# The same every time.


def test_the_same_command_twice_gives_the_same_bytes(desk: Desk) -> None:
    desk.cluster(4, seed=7)
    first = written(desk.out)
    for _ in range(3):
        desk.cluster(4, seed=7)
        assert written(desk.out) == first


def test_the_order_in_which_images_were_extracted_does_not_matter(tmp_path: Path) -> None:
    tables = []
    for number, order in enumerate([("red", "green", "blue"), ("blue", "red", "green")]):
        desk = desk_with_photos(tmp_path / str(number))
        for colour in order:
            desk.extract(desk.photos / colour)
        desk.cluster(4)
        tables.append(((desk.out / "assignments.csv").read_bytes(), (desk.out / "model.npz").read_bytes()))
    assert tables[0] == tables[1]


def test_the_manifest_says_how_to_make_it_again(desk: Desk) -> None:
    desk.cluster(2, algorithm="kmeans", prepare="l2", pca=4, seed=3)
    manifest = read_manifest(str(desk.out))
    assert (manifest.k, manifest.algorithm, manifest.prepare, manifest.seed) == (2, "kmeans", "l2", 3)
    assert (manifest.store, manifest.spaces) == (desk.store, (FakeSource().space.name,))
    assert manifest.options["pca"] == 4
    assert manifest.images == sum(manifest.sizes) == IMAGES
    assert (manifest.paths, "k" in manifest.options) == ((), False)
    desk.cluster(None, desk.photos / "red", desk.photos / "blue" / "blue0.png")
    manifest = read_manifest(str(desk.out))
    assert manifest.paths == (str(desk.photos / "red"), str(desk.photos / "blue" / "blue0.png"))
    assert manifest.options["k"] == "auto"


# Which images.


def test_paths_restrict_what_is_clustered(desk: Desk) -> None:
    result = desk.cluster(2, desk.photos / "red", desk.photos / "blue" / "blue0.png")
    assert result.sizes == (5, 1)
    with pytest.raises(ImgclusterError, match="does not exist"):
        desk.cluster(2, desk.photos / "nowhere")
    (desk.photos / "empty").mkdir()
    with pytest.raises(ImgclusterError, match="knows no image below"):
        desk.cluster(2, desk.photos / "empty")


def test_images_that_are_gone_are_counted_and_named(desk: Desk) -> None:
    gone = desk.photos / "red" / "red0.png"
    gone.unlink()
    result = desk.cluster()
    assert (result.images, result.missing, result.sizes) == (IMAGES - 1, 1, (5, 5, 4))
    assert desk.progress.said(str(gone))


def test_images_that_changed_are_left_out_and_named(desk: Desk) -> None:
    changed = write_image(desk.photos / "red" / "red0.png", (9, 200, 9))
    result = desk.cluster()
    assert (result.images, result.changed) == (IMAGES - 1, 1)
    assert desk.progress.said(str(changed))
    desk.extract()
    assert sorted(desk.cluster().sizes) == [4, 5, 6]


def test_an_embedding_with_values_that_are_no_numbers_is_left_out_and_named(tmp_path: Path) -> None:
    class Flawed(FakeNetwork):
        def embed(self, pixels: Pixels) -> Embeddings:
            rows = super().embed(pixels)
            rows[pixels.max(axis=(1, 2, 3)) < 5, 3] = np.nan
            return rows

    desk = desk_with_photos(tmp_path)
    black = write_image(desk.photos / "black.png", (-100, -100, -100))
    desk.extract(source=FakeSource(Flawed()))
    result = desk.cluster()
    assert (result.images, result.sizes) == (IMAGES, (5, 5, 5))
    assert desk.progress.said(str(black))


def test_blank_images_are_a_cluster_like_others(tmp_path: Path) -> None:
    class WithoutOffset(FakeNetwork):
        def embed(self, pixels: Pixels) -> Embeddings:
            return super().embed(pixels) - 1

    desk = desk_with_photos(tmp_path)
    for number in range(2):
        black = write_image(desk.photos / "black" / f"{number}.png", (-100, -100, -100))
        black.write_bytes(black.read_bytes() + b"\0" * number)
    desk.extract(source=FakeSource(WithoutOffset()))
    assert desk.cluster(4).sizes == (5, 5, 5, 2)


# Feature spaces.


def test_spaces_never_mix_and_two_of_them_are_listed(desk: Desk) -> None:
    desk.extract(source=FakeSource(space=OTHER))
    with pytest.raises(StoreError) as refused:
        desk.cluster()
    assert all(name in str(refused.value) for name in (OTHER.name, FakeSource().space.name))
    assert not desk.out.exists()
    desk.cluster(network=("other",))
    assert read_manifest(str(desk.out)).spaces == (OTHER.name,)
    desk.cluster(space=FakeSource().space.name)
    assert read_manifest(str(desk.out)).spaces == (FakeSource().space.name,)
    with pytest.raises(StoreError, match="no feature space third"):
        desk.cluster(network=("third",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"network": ("fake", "other"), "space": "x"}, "--space"),
        ({"network": ("fake", "other", "fake")}, "fake was given twice"),
        ({"whiten": 0.5, "prepare": "l2"}, "--whiten needs --pca"),
    ],
)
def test_contradicting_options_are_refused(desk: Desk, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        desk.cluster(**options)


def test_two_networks_are_joined_side_by_side(desk: Desk) -> None:
    class TopOnly(FakeNetwork):
        def embed(self, pixels: Pixels) -> Embeddings:
            return super().embed(pixels)[:, :6]

    desk.extract(desk.photos / "blue", source=FakeSource(TopOnly(dimension=6), OTHER))
    desk.extract(source=FakeSource(TopOnly(dimension=6), OTHER))
    result = desk.cluster(network=("fake", "other"))
    assert result.sizes == (5, 5, 5)
    assert read_manifest(str(desk.out)).spaces == (FakeSource().space.name, OTHER.name)


def test_a_network_that_has_several_spaces_is_joined_by_the_name_of_one(desk: Desk) -> None:
    larger = FeatureSpace("fake", "22" * 32, 32)
    for space in (OTHER, larger):
        desk.extract(source=FakeSource(space=space))
    with pytest.raises(StoreError, match=r"several feature spaces.*or --network, where several are joined"):
        desk.cluster(network=("fake", "other"))
    desk.cluster(network=(larger.name, "other"))
    assert read_manifest(str(desk.out)).spaces == (larger.name, OTHER.name)
    desk.cluster(network=(larger.name,))
    assert read_manifest(str(desk.out)).spaces == (larger.name,)
    with pytest.raises(UsageError, match="one feature space twice"):
        desk.cluster(network=("other", OTHER.name))


def test_only_images_that_all_spaces_know_are_joined_and_a_line_says_so(desk: Desk) -> None:
    desk.extract(desk.photos / "red", desk.photos / "blue", source=FakeSource(space=OTHER))
    backdate(desk.photos)
    result = desk.cluster(2, network=("fake", "other"))
    assert (result.sizes, result.unembedded) == ((5, 5), 5)
    assert desk.progress.said("5 images without an embedding in ")


def test_a_store_without_images_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `imgcluster extract` first"):
        Desk(tmp_path).cluster()


def test_a_share_that_fits_nowhere_lies_unsorted_and_the_manifest_says_so(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    result = desk.cluster(3, leave_out="0.2")
    assert (result.images, result.unsorted, sum(result.sizes)) == (IMAGES, 3, IMAGES - 3)
    assert len(list((desk.out / "unsorted").iterdir())) == 3
    assert read_manifest(str(desk.out)).options["leave_out"] == 0.2
    desk.cluster(3, leave_out="auto")
    assert read_manifest(str(desk.out)).options["leave_out"] == "auto"
    assert desk.cluster(3, leave_out=0).unsorted == desk.cluster(3, leave_out="0").unsorted == 0
    with pytest.raises(UsageError, match=r"--leave-out .* between 0 and 0.5"):
        ClusterOptions(leave_out="0.9")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--leave-out all is not a number or auto"):
        ClusterOptions(leave_out="all")  # type: ignore[arg-type]
