"""Whatever lies in a folder, in whatever order: each path leads to the vector of its own picture."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import numpy as np
import pytest
from clusterings import Desk, backdate, contents, pictures
from fakes import FakeNetwork, FakeSource, write_image

from imgcluster.images.decode import DecodeLimits
from imgcluster.output.manifest import read_assignments
from imgcluster.records import Embeddings, ImageFile
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.export import export
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import ExportOptions, ExtractOptions
from imgcluster.workflows.read_image import ReadSettings, read_image

SPACE = FakeSource().space
COUNT = 40


def alone(path: Path) -> Embeddings:
    """The vector of a picture that is the only one there is."""
    settings = ReadSettings(SPACE.input_size, DecodeLimits(), timeout=10)
    pixels = read_image(ImageFile(str(path), 0, 0), (), settings).pixels
    assert pixels is not None
    return FakeNetwork().embed(pixels[None])[0]


def fill(photos: Path, order: random.Random) -> list[Path]:
    """Pictures of all colours among copies, damaged, empty and vanished files; made in no order."""
    good = []
    numbers = list(range(COUNT))
    order.shuffle(numbers)
    for number in numbers:
        path = photos / order.choice("abc") / f"{number}.png"
        colour = (order.randrange(20, 235), order.randrange(20, 235), order.randrange(20, 235))
        write_image(path, colour, noise=number)
        kind = order.choice(["good"] * 5 + ["copy", "cut", "empty", "text", "dangling"])
        if kind == "cut":
            path.write_bytes(path.read_bytes()[:60])
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "text":
            path.write_text("Dear diary")
        elif kind == "dangling":
            path.unlink()
            path.symlink_to("nowhere.png")
        else:
            good.append(path)
        if kind == "copy":
            good.append(path.with_name(f"z copy of {number}.png"))
            good[-1].write_bytes(path.read_bytes())
    backdate(photos)
    return good


def assert_paired(desk: Desk, good: list[Path]) -> None:
    with FeatureStore(desk.store) as store:
        entries = {entry.path: entry.key for entry in store.paths()}
        assert set(entries) == set(map(str, good))
        for path in good:
            key = np.frombuffer(entries[str(path)], np.uint8)[None]
            np.testing.assert_allclose(
                store.read(SPACE.name, key)[0], alone(path), rtol=1e-6, err_msg=str(path)
            )


@pytest.mark.parametrize(("seed", "batch"), [(0, 1), (1, 3), (2, 8), (3, 3)])
def test_every_path_has_the_vector_of_a_run_over_that_file_alone(
    tmp_path: Path, seed: int, batch: int
) -> None:
    desk = Desk(tmp_path)
    good = fill(desk.photos, random.Random(seed))
    desk.extract(source=FakeSource(FakeNetwork(batch_size=batch)))
    assert_paired(desk, good)
    # A second run over more files: what is known, what is new and what failed before stand side by side.
    more = fill(desk.photos / "more", random.Random(seed + 100))
    desk.extract(source=FakeSource(FakeNetwork(batch_size=batch)))
    assert_paired(desk, good + more)


def test_a_file_that_hangs_shifts_no_vector(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    good = [
        write_image(desk.photos / f"{number}.png", (5 * number, 99, 250 - 5 * number), noise=number)
        for number in range(20)
    ]
    backdate(desk.photos)
    answered = threading.Event()

    def hanging_for_seven(file: ImageFile, known, settings: ReadSettings):  # type: ignore[no-untyped-def]
        if file.path.endswith("/7.png"):
            answered.wait()
        return read_image(file, known, settings)

    options = ExtractOptions(store=desk.store, timeout=1)
    extract([desk.photos], options, source=FakeSource(), reading=hanging_for_seven)
    answered.set()
    assert_paired(desk, [path for path in good if path.name != "7.png"])


def test_exported_rows_and_assigned_clusters_belong_to_their_files(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    good = fill(desk.photos, random.Random(7))
    desk.extract()
    export(ExportOptions(store=desk.store, out=str(tmp_path / "vectors.npz")))
    with FeatureStore(desk.store) as store:
        keys = {entry.path: entry.key.hex() for entry in store.paths()}
    with np.load(tmp_path / "vectors.npz") as exported:
        vectors = dict(zip(exported["keys"].tolist(), exported["embeddings"], strict=True))
    desk.cluster(4)
    placed = {placement.original: placement for placement in read_assignments(str(desk.out))}
    assert set(placed) == set(map(str, good))
    arrived = {cluster: contents(pictures(desk.out / str(cluster))) for cluster in range(4)}
    for path in good:
        np.testing.assert_allclose(vectors[keys[str(path)]], alone(path), rtol=1e-6)
        assert placed[str(path)].key.hex() == keys[str(path)]
        assert path.read_bytes() in arrived[placed[str(path)].cluster]
