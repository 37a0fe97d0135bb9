"""`imgcluster compare` with real networks, whose weights come inside packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_images

LITE = "efficientnet_lite0,efficientnet_lite0+efficientnet_lite2"


def compare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgcluster", "compare", "photos", "--networks", LITE, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_one_table_as_json_or_text(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 4, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    done = compare(tmp_path, "--seeds", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["images"], found["k"], found["seeds"], found["unavailable"]) == (8, 2, 2, [])
    assert [(row["network"], row["algorithm"]) for row in found["rows"]] == [
        (network, algorithm) for network in LITE.split(",") for algorithm in ("kmeans", "minibatch-kmeans")
    ]
    for row in found["rows"]:
        assert (row["accuracy"], row["spread"], row["errors"], row["accuracies"]) == (1, 0, 0, [1, 1])
    done = compare(tmp_path, "--seeds", "1")
    assert done.returncode == 0, done.stderr
    header, *lines, summary = done.stdout.splitlines()
    assert header.split()[:4] == ["network", "algorithm", "accuracy", "spread"]
    assert [line.split()[0] for line in lines] == [n for n in LITE.split(",") for _ in range(2)]
    assert all("in the store" in line for line in lines)
    assert summary.startswith("8 images, k = 2")
