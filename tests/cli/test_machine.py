"""What `--memory` is where nobody gives it: a quarter of what this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgcluster.cli.machine import default_memory

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
