"""What this process may use: all cores that it is given, and a quarter of the memory for embeddings."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgcluster.analysis.parallel import on_all_cores
from imgcluster.engines.local import LocalEngine
from imgcluster.engines.protocol import Call, in_order
from imgcluster.machine import cores, default_memory, using_threads

ALL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_it_is_a_quarter_of_the_machine(tmp_path: Path) -> None:
    assert default_memory(str(tmp_path)) == ALL // 4


def test_this_machine_has_some() -> None:
    found = default_memory()
    assert found is not None
    assert 0 < found <= ALL // 4


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        ("0::/\n", {"memory.max": 4096}),
        ("0::/a/b\n", {"a/b/memory.max": 4096, "a/memory.max": 8192}),
        ("0::/a/b\n", {"a/b/memory.max": 8192, "a/memory.max": 4096}),
        ("0::/not/shown/here\n", {"memory.max": 4096}),
        ("0::/a\n", {"a/memory.max": 8192, "a/memory.high": 4096}),
        ("5:cpu:/c\n4:hugetlb,memory:/m\n0::/\n", {"memory/m/memory.limit_in_bytes": 4096}),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, groups: str, limits: dict[str, int]) -> None:
    write(tmp_path / "proc/self/cgroup", groups)
    for file, limit in limits.items():
        write(tmp_path / "sys/fs/cgroup" / file, f"{limit}\n")
    assert default_memory(str(tmp_path)) == 1024


def test_a_group_without_a_limit_has_the_machine(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", "max\n")
    assert default_memory(str(tmp_path)) == ALL // 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no processor affinity")
def test_only_the_cores_that_this_process_may_use_are_counted(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores(str(tmp_path)) == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores(str(tmp_path)) == len(before)


@pytest.mark.parametrize(
    ("groups", "files", "most"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("3:cpu,cpuacct:/c\n", {"cpu/c/cpu.cfs_quota_us": "250000", "cpu/c/cpu.cfs_period_us": "100000"}, 3),
        ("3:cpu,cpuacct:/c\n", {"cpu/c/cpu.cfs_quota_us": "-1", "cpu/c/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_a_containers_share_of_the_processor_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], most: int
) -> None:
    """`docker run --cpus=1.5` on a machine of 64 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    write(tmp_path / "proc/self/cgroup", groups)
    for file, text in files.items():
        write(tmp_path / "sys/fs/cgroup" / file, f"{text}\n")
    assert cores(str(tmp_path)) == most


def test_who_says_how_many_threads_gets_so_many_everywhere_and_nobody_else_does() -> None:
    before = cores()
    with using_threads(1):
        assert (cores(), cores(least=2), LocalEngine().threads) == (1, 1, 1)
        with using_threads(None):
            assert cores() == 1
        (seen,) = in_order(LocalEngine(), Call(lambda _: cores()), [None])
        assert seen.result == 1
        busy = [0, 0]

        def work(_: int) -> None:
            busy[0] += 1
            busy[1] = max(busy)
            time.sleep(0.01)
            busy[0] -= 1

        on_all_cores(work, range(5))
        assert busy[1] == 1
    with using_threads(3):
        assert LocalEngine().threads == 3
        with ThreadPoolExecutor(1) as other:
            assert other.submit(cores).result() == before
    assert cores() == before
