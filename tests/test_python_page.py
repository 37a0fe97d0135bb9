"""Every block of docs/python.md runs, one after the other; and what the page promises of results."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSource, write_images

import imgcluster
from imgcluster.errors import ImgclusterError, UsageError

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 4, COLOURS)
    return tmp_path


@pytest.fixture
def extracted(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "openTSNE", None)  # the other map is drawn sooner
    imgcluster.extract("photos", source=FakeSource())
    return here


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_every_block_of_the_page_runs(here: Path) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["embeddings"].shape == (12, 1280)
    assert len(names["labels"]) == len(names["paths"]) == 12
    assert Path(names["page"]).is_file()
    assert len(names["alike"]) == 3


def test_without_a_folder_nothing_is_written_and_the_clusters_are_those_of_the_folder(
    extracted: Path,
) -> None:
    before = files_below(extracted)
    found = imgcluster.cluster(k=3, out=None)
    assert files_below(extracted) == before
    assert found.out is None
    assert (found.images, found.sizes) == (12, (4, 4, 4))
    assert found.points.shape[0] == len(found.paths) == len(found.labels) == 12
    assert found.keys.shape == (12, 32)
    for cluster in range(3):
        members = found.points[found.labels == cluster]
        distances = np.linalg.norm(members - members.mean(axis=0), axis=1)
        np.testing.assert_allclose(distances, found.distances[found.labels == cluster], atol=1e-4)
    made = imgcluster.cluster(k=3)
    assert (made.paths, made.labels.tolist()) == (found.paths, found.labels.tolist())
    assert made.points is None
    assert all(Path(file).is_file() and Path(file).parent.parent.name == "clusters" for file in made.files)


def test_equal_files_have_a_row_each(extracted: Path) -> None:
    (extracted / "photos" / "copy.png").write_bytes((extracted / "photos/red/red0.png").read_bytes())
    imgcluster.extract("photos", source=FakeSource())
    found = imgcluster.cluster(k=3, out=None)
    rows = [found.paths.index(str(extracted / "photos" / name)) for name in ("copy.png", "red/red0.png")]
    np.testing.assert_array_equal(*found.keys[rows])
    np.testing.assert_array_equal(*found.points[rows])


def test_labels_may_be_values(extracted: Path) -> None:
    found = imgcluster.cluster(k=3, out=None)
    colours = [Path(path).parent.name for path in found.paths]
    by_path = dict(zip(found.paths, colours, strict=True))
    assert imgcluster.evaluate(by_path, clusters=found).accuracy == 1
    assert imgcluster.evaluate(colours, clusters=found).accuracy == 1
    assert imgcluster.evaluate(np.array(colours), clusters=found).accuracy == 1
    assert imgcluster.evaluate([*colours[:-1], None], clusters=found).images == 11
    assert imgcluster.evaluate({"photos/red/red0.png": "x", "elsewhere.png": "y"}, clusters=found).images == 1
    assert imgcluster.evaluate("folders", clusters=found).labels == ("blue", "green", "red")
    imgcluster.cluster(k=3)
    assert imgcluster.evaluate({Path(path): label for path, label in by_path.items()}).accuracy == 1
    with pytest.raises(UsageError, match="2 labels for 12 images"):
        imgcluster.evaluate(["a", "b"])
    with pytest.raises(ImgclusterError, match="name none of the images"):
        imgcluster.evaluate({"elsewhere.png": "y"})


def test_a_store_gives_paths_keys_and_embeddings_together(extracted: Path) -> None:
    with imgcluster.FeatureStore("features.h5") as store:
        paths, keys, embeddings = store.read()
        again = store.read(store.spaces[0].name)
        np.testing.assert_array_equal(store.read(store.spaces[0].name, keys), embeddings)
    assert paths == again[0] == tuple(sorted(map(str, (extracted / "photos").rglob("*.png"))))
    assert (keys.shape, embeddings.shape, embeddings.dtype) == ((12, 32), (12, 12), np.float32)


def test_the_version_is_that_of_the_distribution() -> None:
    assert imgcluster.__version__ == importlib.metadata.version("imgcluster")


def test_a_bar_is_shown_where_there_is_someone_to_see_it(
    extracted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (extracted / "photos/red/red0.png").unlink()
    imgcluster.cluster(k=3, out=None)
    assert capsys.readouterr().err == ""
    imgcluster.cluster(k=3, out=None, progress=True)
    assert "left out: 1 image gone since extraction" in capsys.readouterr().err


RESULTS = {
    "extract": (lambda: imgcluster.extract("photos", source=FakeSource()), 0),
    "cluster": (lambda: imgcluster.cluster(k=3, out=None), 12),
    "assign": (lambda: imgcluster.cluster(k=3) and imgcluster.assign("photos"), 12),
    "sweep": (lambda: imgcluster.sweep(k="2:4"), 3),
    "similar": (lambda: imgcluster.similar("photos/red/red0.png", top=5), 5),
    "duplicates": (imgcluster.duplicates, None),
    "evaluate": (lambda: imgcluster.evaluate(clusters=imgcluster.cluster(k=3, out=None)), 3),
    "undo": (lambda: imgcluster.cluster(k=3) and imgcluster.undo(), 1),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_a_table_and_shows_itself(extracted: Path, name: str) -> None:
    make, rows = RESULTS[name]
    result = make()
    lengths = {len(column) for column in result.table().values()}
    assert len(lengths) == 1
    assert rows in (None, *lengths)
    html = result._repr_html_()
    assert html.count("<tr>") == 1 + min(10, *lengths)
    assert not re.search(r">[0-9a-f]{64}<", html)
    pictures = html.count("data:image/jpeg;base64,")
    assert pictures == {"cluster": 12, "similar": 5}.get(name, 0)


def test_names_are_escaped_and_what_cannot_be_read_is_named(extracted: Path) -> None:
    bad = extracted / "photos" / "<b>\udcff.png"
    bad.write_bytes((extracted / "photos/red/red1.png").read_bytes())
    imgcluster.extract("photos", source=FakeSource())
    found = imgcluster.cluster(k=3, out=None)
    bad.write_bytes(b"")
    html = found._repr_html_()
    assert "<b>�" not in html
    html.encode()
    assert "&lt;b&gt;�.png" in html


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_is_of_the_library_in_use(
    extracted: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = pytest.importorskip(library)
    for other in {"pandas", "polars"} - {library}:
        monkeypatch.delitem(sys.modules, other, raising=False)
    frame = imgcluster.cluster(k=3, out=None).to_frame()
    assert isinstance(frame, frames.DataFrame)
    assert list(frame.columns) == ["path", "key", "cluster", "distance", "silhouette", "probability"]
    assert len(frame) == 12
    (extracted / "photos" / "\udcff.png").write_bytes((extracted / "photos/red/red1.png").read_bytes())
    imgcluster.extract("photos", source=FakeSource())
    assert len(imgcluster.cluster(k=3, out=None).to_frame()) == 13  # whatever its text can hold


def test_labels_of_a_series_are_taken(extracted: Path) -> None:
    import pandas as pd

    found = imgcluster.cluster(k=3, out=None)
    frame = found.to_frame()
    colours = frame["path"].map(lambda path: Path(path).parent.name)
    assert imgcluster.evaluate(colours, clusters=found).accuracy == 1
    assert imgcluster.evaluate(pd.Series(list(colours), index=frame["path"]), clusters=found).accuracy == 1


def test_without_either_the_line_to_type_is_named(extracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImgclusterError, match="pip install pandas"):
        imgcluster.cluster(k=3, out=None).to_frame()
