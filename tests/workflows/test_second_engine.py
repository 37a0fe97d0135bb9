"""`extract` with engines that share no memory with it, one of them made outside and registered."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import dangerous_reading
import pytest
from clusterings import backdate
from fakes import FakeSource, write_images
from pool_engine import PoolEngine

from imgcluster.engines.protocol import Call, in_order
from imgcluster.engines.table import register_engine
from imgcluster.store.store import FeatureStore
from imgcluster.workflows import pipeline
from imgcluster.workflows.extract import ExtractOptions, ExtractResult, extract

register_engine("pool", PoolEngine)
SPACE = FakeSource().space.name


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    paths = write_images(folder, 9, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    shutil.copy(paths[0], folder / "z copy.png")
    (folder / "text.png").write_text("Dear diary")
    backdate(folder)
    return folder


def run(photos: Path, engine: str, **more: object) -> tuple[ExtractResult, FakeSource]:
    source = FakeSource()
    options = ExtractOptions(store=str(photos.parent / f"{engine}.h5"), **more.pop("options", {}))  # type: ignore[arg-type]
    return extract([photos], options, source=source, engine=engine, **more), source  # type: ignore[arg-type]


def content(photos: Path, engine: str) -> tuple[object, ...]:
    with FeatureStore(photos.parent / f"{engine}.h5") as store:
        entries = [(entry.path, entry.key) for entry in store.paths()]
        rows = zip(store.keys(SPACE), store.read(SPACE, store.keys(SPACE)), strict=True)
        return entries, store.failures(), {key.tobytes(): row.tobytes() for key, row in rows}


@pytest.mark.parametrize(
    ("file", "first", "last"),
    [
        ("workflows/pool_engine.py", "class PoolWorkers", "    return _made[0](item)"),
        ("workflows/test_another_clusterer.py", "class NearestMember", "@pytest.fixture"),
        ("networks/test_own_network.py", "def build", "def expected"),
    ],
)
def test_an_engine_a_clusterer_and_a_network_from_outside_are_sixty_lines(
    file: str, first: str, last: str
) -> None:
    lines = (Path(__file__).parents[1] / file).read_text().splitlines()
    begin, end = (next(i for i, line in enumerate(lines) if line.startswith(x)) for x in (first, last))
    assert 0 < end - begin + 1 <= 60


@pytest.mark.parametrize("engine", ["pool", "process"])
def test_the_store_holds_what_it_holds_with_threads(
    photos: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_FILES_PER_CALL", 7)
    here, _ = run(photos, "local")
    there, source = run(photos, engine)
    assert source.loads == 0  # the network is where the workers are
    counts = [(r.found, r.new, r.cached, r.duplicates, r.failed) for r in (here, there)]
    assert counts == [(20, 18, 0, 1, 1)] * 2
    assert content(photos, "local") == content(photos, engine)
    again, _ = run(photos, engine)
    assert (again.new, again.cached) == (0, 19)


def test_a_file_that_ends_the_process_of_its_worker_costs_no_other_file(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_FILES_PER_CALL", 4)
    shutil.rmtree(photos / "blue")
    os.rename(photos / "red" / "red3.png", photos / "red" / "killer.png")
    result, _ = run(photos, "pool", reading=dangerous_reading.deadly)
    assert (result.new, result.failed) == (8, 2)
    killer, _ = sorted(result.failures, key=lambda failure: failure.path)
    assert (os.path.basename(killer.path), killer.code) == ("killer.png", "crashed_decoder")


def test_an_item_that_takes_too_long_is_given_up() -> None:
    outcomes = in_order(PoolEngine(), Call(time.sleep), [0.0, 600.0, 0.0], timeout=6)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
