"""Extraction with a real Ray on this machine: two workers, whatever becomes of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dangerous_reading
import numpy as np
import pytest
from clusterings import Notes, backdate
from fakes import write_images
from ray_networks import SPACE, Source

from imgcluster.engines import ray as ray_engine
from imgcluster.engines.protocol import Call, EngineSettings, in_order
from imgcluster.engines.ray import RayEngine
from imgcluster.engines.ray_session import connected
from imgcluster.engines.table import find_engine
from imgcluster.errors import (
    ImgclusterError,
    Interrupted,
    MissingExtra,
    NetworkUnavailable,
    StoreError,
    UsageError,
)
from imgcluster.records import PathEntry
from imgcluster.store.store import FeatureStore
from imgcluster.workflows import pipeline, prepare_on_engine
from imgcluster.workflows.cluster import cluster
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import ClusterOptions, ExtractOptions

TESTS = Path(__file__).parents[1]
TWO = RayEngine(workers=2) if ray_engine.importlib.util.find_spec("ray") else None
slow = pytest.mark.slow
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own are not ours to mend


@pytest.fixture(scope="module")
def heard_before() -> set[tuple[str, int]]:
    """What other tests of this process have left listening, a browser's driver for instance."""
    pytest.importorskip("psutil")
    return _heard()


@pytest.fixture(scope="module")
def ray(heard_before: set[tuple[str, int]]) -> Iterator[object]:
    """A Ray for the tests of this module, as the engine starts one."""
    if TWO is None:
        pytest.skip("without the extra `ray`")
    with pytest.MonkeyPatch.context() as patch:
        folders = [TESTS, *(TESTS / name for name in ("engines", "workflows"))]
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        with connected(TWO) as there:
            yield there


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pipeline, "_FILES_PER_CALL", 8)
    write_images(tmp_path / "photos", 20, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    backdate(tmp_path / "photos")
    return tmp_path / "photos"


def run(photos: Path, how: str = "", store: str = "ray.h5", engine=TWO, **more):
    source = Source(how, str(photos.parent))
    return extract(
        [photos], ExtractOptions(store=str(photos.parent / store)), source=source, engine=engine, **more
    )


def content(photos: Path, store: str) -> tuple[list[str], dict[bytes, np.ndarray]]:
    with FeatureStore(photos.parent / store) as opened:
        keys = opened.keys(SPACE.name)
        rows = dict(zip(map(bytes, keys), opened.read(SPACE.name, keys), strict=True))
        return [entry.path for entry in opened.paths()], rows


def assert_complete(photos: Path, without: tuple[str, ...] = ()) -> None:
    """The store holds what local threads would have brought."""
    run(photos, engine="local", store="local.h5")
    (paths, rows), (expected_paths, expected) = content(photos, "ray.h5"), content(photos, "local.h5")
    assert paths == [path for path in expected_paths if os.path.basename(path) not in without]
    assert len(rows) == 40 - len(without)
    for key, row in rows.items():
        np.testing.assert_allclose(row, expected[key], atol=1e-4)


@slow
def test_a_ray_of_ours_is_heard_on_this_machine_alone(heard_before, ray) -> None:
    heard = _heard() - heard_before
    assert heard
    assert {address for address, _ in heard} <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def _descendants():
    import psutil

    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def _heard() -> set[tuple[str, int]]:
    """Addresses and ports that this process and its descendants listen at."""
    sockets = [each for process in _descendants() for each in process.net_connections("tcp")]
    return {(each.laddr.ip, each.laddr.port) for each in sockets if each.status == "LISTEN"}


@slow
def test_rows_are_those_of_threads_and_a_second_run_starts_nothing(ray, photos: Path) -> None:
    (photos / "text.png").write_text("Dear diary")
    backdate(photos)
    result = run(photos, "marked")
    assert (result.new, result.failed) == (40, 1)
    assert_complete(photos)
    loaded = [*photos.parent.glob("loaded *")]
    assert 1 <= len(loaded) <= 2  # each worker once

    class NoEngine:
        shares_memory = False

    again = run(photos, engine=NoEngine())
    assert (again.new, again.cached, again.failed) == (0, 40, 1)


@slow
def test_a_touched_file_is_hashed_where_the_workers_are_and_not_embedded_again(ray, photos: Path) -> None:
    run(photos, "marked")
    for mark in photos.parent.glob("batch *"):
        mark.unlink()
    for path in photos.rglob("*.png"):
        os.utime(path, ns=(10**18 + 10**9, 10**18 + 10**9))
    again = run(photos, "marked")
    assert (again.new, again.cached) == (0, 40)
    assert [*photos.parent.glob("batch *")] == []


@slow
def test_a_worker_that_is_killed_costs_no_image(ray, photos: Path) -> None:
    result = run(photos, "killed once")
    assert (photos.parent / "killed").exists()
    assert (result.new, result.failed) == (40, 0)
    assert_complete(photos)


@slow
def test_an_image_that_ends_its_process_is_found_and_listed(ray, photos: Path) -> None:
    os.rename(photos / "red" / "red7.png", photos / "red" / "killer.png")
    result = run(photos, reading=dangerous_reading.deadly)
    (failure,) = result.failures
    assert (os.path.basename(failure.path), failure.code) == ("killer.png", "crashed_decoder")
    assert result.new == 39
    assert_complete(photos, without=("killer.png",))


@slow
def test_what_a_slow_worker_holds_up_is_done_by_another(ray, photos: Path) -> None:
    started = time.monotonic()
    result = run(photos, "one is slow")
    assert result.new == 40
    assert time.monotonic() - started < 140
    assert_complete(photos)


@slow
@pytest.mark.parametrize(
    ("how", "told"), [("raises", "the weights do not fit"), ("dies", "died as they started")]
)
def test_a_network_that_cannot_be_loaded_is_told_in_a_line(ray, photos: Path, how: str, told: str) -> None:
    with pytest.raises(Exception, match=told) as error:
        run(photos, how)
    assert "\n" not in str(error.value)
    assert how != "raises" or isinstance(error.value, NetworkUnavailable)


@slow
def test_a_file_that_a_worker_cannot_read_is_told_with_its_machine(ray, photos: Path) -> None:
    result = run(photos, reading=_gone)
    assert result.failed == 1
    assert f"(on {os.uname().nodename})" in result.failures[0].reason


def _gone(file, known, settings):
    if file.path.endswith("red3.png"):
        os.unlink(file.path)
    return dangerous_reading.read_image(file, known, settings)


_gone.__module__ = "test_ray_engine"


@dataclass
class Impatient(Notes):
    """Asks to stop once something is stored."""

    done: list[int] = field(default_factory=list)

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self.done.append(steps)

    @property
    def stopping(self) -> bool:
        return sum(self.done) >= 48  # 40 are found first


@slow
def test_ctrl_c_keeps_what_is_finished(ray, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_FILES_PER_CALL", 2)
    with pytest.raises(Interrupted, match="kept in"):
        run(photos, progress=Impatient())
    kept = len(content(photos, "ray.h5")[1])
    assert 0 < kept < 40
    assert run(photos).new == 40 - kept
    assert_complete(photos)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 rows in four shards and in one store, and a file for each."""
    folder = tmp_path_factory.mktemp("stores")
    for name in ("photos", "stores"):
        (folder / name).mkdir()
    random = np.random.default_rng(0)
    centres = 3 * random.random((6, 64))
    rows = (centres[random.integers(0, 6, 4000)] + random.random((4000, 64))).astype(np.float32)
    entries = []
    for number in range(len(rows)):
        path = folder / "photos" / f"{number}.png"
        path.write_text(str(number))
        status = path.stat()
        key = hashlib.sha256(path.read_bytes()).digest()
        entries.append(PathEntry(str(path), status.st_size, status.st_mtime_ns, 0, key))
    keys = np.frombuffer(b"".join(entry.key for entry in entries), np.uint8).reshape(-1, 32)
    parts = {f"f-{number + 1}-of-4.h5": slice(number, None, 4) for number in range(4)}
    for name, part in (parts | {"all.h5": slice(None)}).items():
        with FeatureStore(folder / "stores" / name, "a") as store:
            store.add_space(SPACE, 64)
            store.append(SPACE.name, keys[part], rows[part])
            store.record_paths(entries[part])
    return folder / "stores"


def clustered(stores: Path, out: Path, store: str, **options) -> list[list[str]]:
    """Of each image the path, the key and the cluster."""
    settings = ClusterOptions(
        k=6, out=str(out), store=str(stores / store), mode="symlink", restarts=3, **options
    )
    cluster((), settings)
    lines = (out / "assignments.csv").read_text().splitlines()
    return [line.split(",")[:3] for line in lines]


@slow
def test_clusters_of_four_shards_on_ray_are_those_of_one_store_here(
    ray, stores: Path, tmp_path: Path
) -> None:
    here = clustered(stores, tmp_path / "here", "all.h5")
    assert len(here) == 4001
    assert clustered(stores, tmp_path / "there", "f-*.h5", engine="ray", workers=2) == here


@slow
def test_a_damaged_shard_is_named_by_the_worker_that_reads_it(ray, stores: Path, tmp_path: Path) -> None:
    for number in range(1, 5):
        shutil.copy(stores / f"f-{number}-of-4.h5", tmp_path)
    bad = tmp_path / "f-3-of-4.h5"
    with FeatureStore(bad) as store:
        (row,) = store.rows_at(SPACE.name, np.array([700]))
    data = bad.read_bytes()
    assert data.count(row.tobytes()) == 1
    bad.write_bytes(data.replace(row.tobytes(), b"\1" + row.tobytes()[1:]))
    with pytest.raises(StoreError, match=r"f-3-of-4.h5: 1 rows .* damaged.*store repair"):
        clustered(tmp_path, tmp_path / "out", "f-*.h5", engine="ray", workers=2)


class KilledOnce:
    """The job of a worker that is killed at its third block."""

    def __init__(self, job, mark: Path) -> None:
        self.job, self.mark = job, mark

    def start(self):
        work = self.job.start()

        def do(block):
            if block.number == 2 and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return work(block)

        return do


KilledOnce.__module__ = "test_ray_engine"


@slow
def test_the_block_of_a_worker_that_died_is_done_again(
    ray, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_on_engine, "_BLOCK_BYTES", 64 * 4 * 500)
    start = RayEngine.start
    monkeypatch.setattr(
        RayEngine,
        "start",
        lambda self, job, **more: start(self, KilledOnce(job, tmp_path / "killed"), **more),
    )
    here = clustered(stores, tmp_path / "here", "f-*.h5")
    assert clustered(stores, tmp_path / "there", "f-*.h5", engine="ray", workers=2) == here
    assert (tmp_path / "killed").exists()


@slow
def test_no_more_is_in_flight_than_workers_can_have_soon(ray) -> None:
    taken = []
    items = (taken.append(n) or n for n in range(60))
    for number, outcome in enumerate(in_order(TWO, Call(abs), items)):
        assert outcome.result == number
        assert len(taken) - number <= 4 * 2 + 1


@slow
def test_nothing_of_the_working_folder_is_run_and_nothing_is_left(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 3, {"red": (200, 30, 30)})
    for name in ("cv2", "h5py", "sitecustomize", "setproctitle"):
        (tmp_path / f"{name}.py").write_text("open('run', 'w').close()")
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if p]\n"
        "from ray_networks import Source\n"
        "from imgcluster.engines.ray import RayEngine\n"
        "from imgcluster.workflows.extract import extract\n"
        "if __name__ == '__main__':\n"
        "    print(extract(['photos'], source=Source(), engine=RayEngine(workers=1)).new)\n"
    )
    folders = [TESTS.parent, TESTS, TESTS / "engines"]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "3\n", done.stderr
    assert not (tmp_path / "run").exists()
    left = [process for process in _descendants() if "raylet" in process.name() or "gcs" in process.name()]
    assert not left or sys.modules["ray"].is_initialized()


def test_without_the_extra_a_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--engine ray needs an optional part: pip install '.\[ray\]'"):
        find_engine("ray", EngineSettings(workers=2))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "The current node timed out during startup.\nmore of it",
            "The current node timed out during startup.",
        ),
        ("", "TimeoutError('')"),
    ],
)
def test_a_ray_that_does_not_start_in_time_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, message: str, told: str
) -> None:
    module = pytest.importorskip("ray")

    def init(*_: object, **__: object) -> None:
        raise TimeoutError(message)

    monkeypatch.setattr(module, "is_initialized", lambda: False)
    monkeypatch.setattr(module, "init", init)
    with pytest.raises(ImgclusterError, match=f"^cannot use Ray: {re.escape(told)}$"):
        RayEngine(workers=1).start(Call(abs))


def test_options_of_ray_need_ray() -> None:
    assert ExtractOptions(engine="ray", workers=2).engine_settings == EngineSettings(None, 2, 1, 0.0)
    for name, value in (("workers", 2), ("ray_address", "a:1"), ("gpus_per_worker", 0.5)):
        with pytest.raises(UsageError, match="need --engine ray"):
            ExtractOptions(**{name: value})
