"""Work in tiles and on all cores gives the same as work row by row on one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from multiprocessing import get_context
from typing import Literal

import numpy as np
import pytest
from analysis_data import ArraySource, keys_of
from threadpoolctl import threadpool_info

from imgcluster.analysis.centroids import find_nearest
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.parallel import alone, on_all_cores
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.errors import NotFinite
from imgcluster.machine import cores
from imgcluster.records import SilentProgress


def random_rows(count: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, width)).astype(np.float32)


def test_answers_come_in_order_and_an_error_comes_through() -> None:
    assert on_all_cores(lambda number: number**2, range(100)) == [number**2 for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda number: 1 / number, [1, 0])


def test_long_work_leaves_the_callers_thread_to_hear_signals() -> None:
    here = threading.get_ident()
    assert alone(threading.get_ident) != here
    assert alone(threading.get_ident, brief=True) == here
    assert on_all_cores(lambda _: threading.get_ident(), [0]) == [here]
    assert alone(lambda: alone(threading.get_ident) == threading.get_ident())  # one inside the other


def _in_a_fork() -> None:
    assert on_all_cores(str, range(10)) == [str(number) for number in range(10)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    _in_a_fork()
    child = get_context("fork").Process(target=_in_a_fork)
    child.start()
    child.join(30)
    exit_code = child.exitcode
    child.kill()
    assert exit_code == 0


def _fingerprint() -> str:
    """Of clusterings in batches, of wide rows, with many clusters, and of rows that are streamed."""
    digest = hashlib.sha256()
    for count, width, k, algorithm in (
        (9000, 40, 3, "minibatch-kmeans"),
        (700, 30, 4, "kmeans-or-mixture"),
        (300, 5000, 5, "kmeans"),
        (2000, 20, 200, "minibatch-kmeans"),
        (34_000, 64, 3, "minibatch-kmeans"),
    ):
        groups = np.repeat(np.eye(k, width, dtype=np.float32) * 3, -(-count // k), axis=0)[:count]
        source = ArraySource(keys_of(count), np.abs(random_rows(count, width)) + groups, 1000)
        settings = ClusterSettings(k, algorithm, restarts=3, memory=1)
        found = cluster([source], ["space"], PrepareSettings(), settings, SilentProgress())
        for part in (found.labels, found.distances, found.silhouettes, found.model.centroids):
            digest.update(part.tobytes())
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system holds no process to one core")
def test_the_answer_does_not_depend_on_the_number_of_cores() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import test_parallel; "
    code += "print(test_parallel._fingerprint())"
    places = os.pathsep.join(filter(None, sys.path))
    one_core = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": places},
        cwd=os.path.dirname(__file__),
        capture_output=True,
        text=True,
        check=True,
    )
    assert one_core.stdout.strip() == _fingerprint()


def test_work_inside_work_is_done_one_after_the_other() -> None:
    def outer(number: int) -> list[int]:
        return on_all_cores(lambda inner: 10 * number + inner, range(3))

    assert on_all_cores(outer, range(8)) == [[10 * n, 10 * n + 1, 10 * n + 2] for n in range(8)]


def test_an_error_leaves_no_work_behind_and_threads_as_they_were() -> None:
    limits = [pool["num_threads"] for pool in threadpool_info()]
    done: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("the first")
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(ValueError, match="the first"):
        on_all_cores(work, range(50))
    finished = len(done)
    assert [pool["num_threads"] for pool in threadpool_info()] == limits
    time.sleep(0.2)
    assert len(done) == finished < 49


@pytest.mark.parametrize("pca", [None, 4])
@pytest.mark.parametrize("how", ["auto", "l2", "none"])
@pytest.mark.parametrize(("value", "row"), [(np.nan, 5), (np.inf, 250), (-np.inf, 5)])
@pytest.mark.filterwarnings("error")
def test_an_image_with_values_that_are_no_numbers_is_left_out_wherever_they_are(
    how: Literal["auto", "l2", "none"], pca: int | None, value: float, row: int
) -> None:
    rows = random_rows(300, 12)
    broken = rows.copy()
    broken[row, 3] = value
    left = np.arange(300) != row
    settings = ClusterSettings(2, restarts=2)
    found, expected = (
        cluster([source], ["space"], PrepareSettings(how, pca), settings, SilentProgress())
        for source in (ArraySource(keys_of(300), broken, 100), ArraySource(keys_of(300)[left], rows[left]))
    )
    assert np.array_equal(found.keys, expected.keys)
    assert np.array_equal(found.labels, expected.labels)


def test_where_no_embedding_is_finite_there_is_nothing_to_cluster() -> None:
    source = ArraySource(keys_of(3), np.full((3, 2), np.nan, np.float32))
    with pytest.raises(NotFinite):
        cluster([source], ["space"], PrepareSettings(), ClusterSettings(2), SilentProgress())


def test_two_callers_at_once_leave_the_limits_as_they_were() -> None:
    before = [pool["num_threads"] for pool in threadpool_info()], os.environ.get("OMP_NUM_THREADS")
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first(_: int) -> None:
        first_is_in.set()
        assert second_is_in.wait(30)

    def second(_: int) -> None:
        second_is_in.set()
        time.sleep(0.1)  # the first one leaves meanwhile

    callers = [threading.Thread(target=on_all_cores, args=(first, [0]))]
    callers[0].start()
    assert first_is_in.wait(30)
    callers.append(threading.Thread(target=on_all_cores, args=(second, [0])))
    callers[1].start()
    for caller in callers:
        caller.join()
    assert ([pool["num_threads"] for pool in threadpool_info()], os.environ.get("OMP_NUM_THREADS")) == before


def test_memory_for_the_nearest_of_many_centroids_is_bounded() -> None:
    points, centroids = random_rows(8192, 16), random_rows(5000, 16)
    tracemalloc.start()
    try:
        find_nearest(points, centroids)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000 * cores()
    finally:
        tracemalloc.stop()
