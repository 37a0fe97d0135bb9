"""How long cluster folders take, stage by stage: python -m tests.benchmarks.folders_scale [FILES] [MODE]."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgcluster.output.folders import build_folders, plan_folders
from imgcluster.output.manifest import assignments_csv, read_assignments
from imgcluster.output.undo import undo
from imgcluster.records import Placement, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stage(name: str, files: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:12} {wall:6.2f} s wall {cpu:6.2f} s cpu {wall / files * 1e6:7.1f} us per file", flush=True)


def main(files: int = 100_000, mode: str = "hardlink") -> None:
    with tempfile.TemporaryDirectory() as root:
        placements = []
        for i in range(files):
            folder = f"{root}/photos/{i // 1000}"
            if i % 1000 == 0:
                os.makedirs(folder)
            path = f"{folder}/IMG_{i % 5000:05}.jpg"
            with open(path, "wb") as file:
                file.write(path.encode())
            key = hashlib.sha256(path.encode()).digest()
            placements.append(Placement(path, path, key, i % 10, 0.5, 0.25))
        out = f"{root}/clusters"
        for name in ("", " again"):
            with stage("plan" + name, files):
                plan = plan_folders(placements, out, mode)
            with stage("table" + name, files):
                table = assignments_csv(plan.placements, out, [file.relative for file in plan.files])
            with stage("build" + name, files):
                build_folders(plan, extra_files={"assignments.csv": table}, progress=SilentProgress())
            with stage("read" + name, files):
                placements = list(read_assignments(out))
        with stage("undo", files):
            undo(out, progress=SilentProgress())


if __name__ == "__main__":
    main(*(int(a) if a.isdigit() else a for a in sys.argv[1:]))
