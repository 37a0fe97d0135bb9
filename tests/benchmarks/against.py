"""Time this checkout against another: an unchanged folder, and the cluster folders of its files.

python -m tests.benchmarks.against CHECKOUT [--files 20000] [--pairs 7]

Both run with this interpreter, in turn; each figure is the median of the pairs' ratios of processor time.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import bench_images

HERE = Path(__file__).parents[2]


def run(tree: Path, home: Path, *arguments: str) -> float:
    """Run a command of a checkout with caches and records of its own; its processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    homes = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state")}
    subprocess.run(
        [sys.executable, "-m", "imgcluster", *arguments],
        cwd=home,
        env={**os.environ, **homes, "PYTHONPATH": str(tree)},
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imgcluster-bench-") as folder:
        images = bench_images.small_files(Path(folder) / "small", options.files)
        extract = ["extract", str(images), "--network", "efficientnet_lite0", "--weights", "random"]
        commands = {"unchanged folder": extract, "cluster": ["cluster", "--k", "8", "--out", "clusters"]}
        trees = {Path(folder) / "this": HERE, Path(folder) / "other": options.checkout.resolve()}
        for home, tree in trees.items():
            home.mkdir()
            run(tree, home, *extract)
        for name, command in commands.items():
            ratios = []
            for _ in range(options.pairs):
                seconds = []
                for home, tree in trees.items():
                    shutil.rmtree(home / "clusters", ignore_errors=True)
                    seconds.append(run(tree, home, *command))
                ratios.append(seconds[0] / seconds[1])
            print(f"{name}: {statistics.median(ratios):.2f} of the other's time ({options.files:,} files)")


if __name__ == "__main__":
    main()
