"""What `similar` promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from clusterings import Desk
from fakes import FakeSource, write_image

from imgcluster.errors import ImgclusterError, StoreError
from imgcluster.images.file_bytes import content_key
from imgcluster.records import FeatureSpace, key_rows
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.options import SimilarOptions
from imgcluster.workflows.similar import SimilarImage, similar


def run(desk: Desk, image: Path, top: int = 20) -> tuple[SimilarImage, ...]:
    return similar(image, SimilarOptions(top=top, store=desk.store), progress=desk.progress)


def test_images_of_its_colour_come_first_and_the_image_itself_never(desk: Desk) -> None:
    query = desk.photos / "red" / "red0.png"
    found = run(desk, query)
    assert len(found) == 14
    assert {Path(each.path).parent.name for each in found[:4]} == {"red"}
    assert [each.cosine for each in found] == sorted((each.cosine for each in found), reverse=True)
    assert str(query) not in [each.path for each in found]
    assert run(desk, query, top=3) == found[:3]


def test_cosines_are_exact(desk: Desk) -> None:
    with FeatureStore(desk.store) as store:
        keys = {entry.path: np.frombuffer(entry.key, np.uint8)[None] for entry in store.paths()}
        rows = {path: store.read(FakeSource().space.name, key)[0] for path, key in keys.items()}
    query = str(desk.photos / "red" / "red0.png")
    for each in run(desk, Path(query)):
        one, other = (rows[path].astype(np.float64) for path in (query, each.path))
        assert each.cosine == pytest.approx(
            one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-6
        )


def test_equal_files_count_once(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "copies")
    desk.extract()
    found = run(desk, desk.photos / "red" / "red0.png")
    assert len(found) == 14
    assert {Path(each.path).parent.name for each in found[:4]} == {"copies"}


def test_a_copy_elsewhere_is_recognised_by_its_bytes(desk: Desk) -> None:
    elsewhere = shutil.copy(desk.photos / "red" / "red0.png", desk.folder / "query.png")
    assert run(desk, Path(elsewhere)) == run(desk, desk.photos / "red" / "red0.png")


def test_an_image_without_an_embedding_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="run `imgcluster extract` on it first"):
        run(desk, write_image(desk.folder / "new.png", (1, 2, 3)))
    with pytest.raises(ImgclusterError, match=r"nowhere\.png does not exist"):
        run(desk, desk.folder / "nowhere.png")
    with pytest.raises(ImgclusterError, match=r"rde0\.png does not exist \(did you mean red0\.png\?\)"):
        run(desk, desk.photos / "red" / "rde0.png")


def test_an_ambiguous_space_is_an_error_that_lists_them(desk: Desk) -> None:
    desk.extract(source=FakeSource(space=FeatureSpace("other", "11" * 32, 16)))
    with pytest.raises(StoreError, match=r"several feature spaces.*fake.*other"):
        run(desk, desk.photos / "red" / "red0.png")


def test_an_image_whose_embedding_is_not_finite_is_like_no_other(desk: Desk) -> None:
    space = FakeSource().space.name
    image = write_image(desk.folder / "white.png", (255, 255, 255))
    with FeatureStore(desk.store, "a") as store:
        store.append(space, key_rows([content_key(image.read_bytes())]), np.full((1, 12), np.nan, np.float32))
    with pytest.raises(ImgclusterError, match=r"white\.png holds NaN or infinity"):
        run(desk, image)


def test_moved_images_are_found_where_they_are_now(desk: Desk) -> None:
    desk.cluster(mode="move")
    query = next((desk.out).rglob("red0.png"))
    found = similar(query, SimilarOptions(store=desk.store, clusters=str(desk.out)))
    assert len(found) == 14
    assert all(Path(each.path).is_file() for each in found)
