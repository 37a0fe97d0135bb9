"""Keywords that are written into files: same picture, same embedding, without the network."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import picture_files as files
import pytest
from clusterings import Notes
from fakes import FakeNetwork, FakeSource, write_image
from PIL import Image, PngImagePlugin

from imgcluster.records import FeatureSpace
from imgcluster.store import migrations
from imgcluster.store.merge import merge
from imgcluster.store.repair import verify
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, ExtractResult, extract


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture = Image.fromarray(files.photograph(60, 40, seed=number))
        picture.save(folder / f"{number}.jpg")
        picture.save(folder / f"{number}.png")
    return folder


def run(photos: Path, source: FakeSource | None = None, **more: object) -> ExtractResult:
    options = ExtractOptions(store=str(photos.parent / "features.h5"))
    return extract([photos], options, source=source or FakeSource(), **more)  # type: ignore[arg-type]


def write_keywords(folder: Path, words: str = "holiday, beach") -> None:
    for path in folder.glob("*.jpg"):
        data = path.read_bytes()
        comment = f"\0\0{words}".encode()
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])
    for path in folder.glob("*.png"):
        information = PngImagePlugin.PngInfo()
        information.add_text("Keywords", words)
        with Image.open(path) as image:
            image.save(path, pnginfo=information)


def embeddings(photos: Path) -> dict[str, bytes]:
    with FeatureStore(photos.parent / "features.h5") as store:
        (space,) = store.spaces
        return {
            entry.path: store.read(space.name, np.frombuffer(entry.key, np.uint8)[None]).tobytes()
            for entry in store.paths()
        }


@pytest.mark.parametrize("engine", ["local", "process"])
def test_files_with_other_keywords_keep_their_embedding_without_the_network(
    photos: Path, engine: str
) -> None:
    run(photos)
    before = embeddings(photos)
    write_keywords(photos)
    source = FakeSource()
    result = run(photos, source, engine=engine)
    assert (result.new, result.cached, result.same_picture, result.failed) == (0, 6, 6, 0)
    assert source.network.batches == []
    assert embeddings(photos) == before
    assert verify(str(photos.parent / "features.h5")).problems == ()
    assert run(photos).cached == 6


def test_copies_with_other_keywords_in_one_run_are_embedded_once(photos: Path) -> None:
    copies = photos / "copies"
    copies.mkdir()
    for path in list(photos.glob("*.*")):
        (copies / path.name).write_bytes(path.read_bytes())
    write_keywords(copies)
    source, told = FakeSource(), Notes()
    result = run(photos, source, progress=told)
    assert (result.new, result.duplicates, result.same_picture) == (6, 6, 6)
    assert told.notes == ["6 pictures known already, with other metadata: the embedding is the same"]
    assert sum(source.network.batches) == 6
    found = embeddings(photos)
    assert all(found[str(path)] == found[str(copies / path.name)] for path in photos.glob("*.*"))


def test_another_network_sees_each_picture_once(photos: Path) -> None:
    run(photos)
    write_keywords(photos)
    other = FakeSource(FakeNetwork(), FeatureSpace("other", "11", 16))
    assert run(photos, other).new == 6
    write_keywords(photos, "other words")
    assert run(photos, FakeSource(FakeNetwork(), FeatureSpace("other", "11", 16))).new == 0


def test_a_picture_that_was_turned_or_changed_is_embedded(photos: Path) -> None:
    run(photos)
    with Image.open(photos / "0.jpg") as image:
        image.save(photos / "0.jpg", exif=files.oriented_exif(6), quality="keep")
    write_image(photos / "1.png", (9, 9, 9))
    result = run(photos)
    assert (result.new, result.same_picture) == (2, 0)


def make_old(store: Path) -> None:
    """Take away what this version added, as if the one before had written it."""
    with h5py.File(store, "r+") as file:
        del file["picture_keys"]
        file.attrs["schema"] = 3


def test_an_older_store_is_read_and_filled_in_by_the_next_run(photos: Path) -> None:
    store = photos.parent / "features.h5"
    for path in photos.glob("*.*"):
        os.utime(path, ns=(10**18, 10**18))
    run(photos)
    make_old(store)
    with FeatureStore(store) as opened:
        assert (opened.schema, opened.picture_keys) == (3, {})
    assert verify(str(store)).problems == ()
    source = FakeSource()
    result = run(photos, source)
    assert (result.new, result.cached, source.loads) == (0, 6, 0)
    with FeatureStore(store) as opened:
        assert (opened.schema, len(opened.picture_keys)) == (len(migrations.MIGRATIONS), 6)
    write_keywords(photos)
    assert run(photos).same_picture == 6


def test_the_digests_survive_a_merge(photos: Path, tmp_path: Path) -> None:
    run(photos)
    merged = tmp_path / "merged.h5"
    merge([str(photos.parent / "features.h5")], str(merged))
    with FeatureStore(merged) as one, FeatureStore(photos.parent / "features.h5") as other:
        assert one.picture_keys == other.picture_keys
        assert len(one.picture_keys) == 6
