"""Small collections, and as many clusters as there are images: through every command, as text and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clusterings import Desk, backdate
from fakes import write_image


def imgcluster(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "imgcluster", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(folder: Path, *arguments: str) -> Any:
    return json.loads(imgcluster(folder, *arguments, "--json"), parse_constant=pytest.fail)


def desk_with(folder: Path, count: int) -> Desk:
    desk = Desk(folder)
    for number in range(count):
        write_image(desk.photos / f"{number}.png", (40 * number, 99, 240 - 40 * number), noise=number)
    backdate(desk.photos)
    desk.extract()
    return desk


@pytest.mark.parametrize("count", [1, 3])
def test_the_whole_way_from_clusters_to_a_report_works_with_few_images(tmp_path: Path, count: int) -> None:
    """Report D7."""
    desk_with(tmp_path, count)
    result = as_json(tmp_path, "cluster", "--k", str(count), "--report")
    assert (result["k"], result["sizes"]) == (count, [1] * count)
    assert result["silhouette"] is None
    assert Path(result["report"]).exists()
    pages = [*(tmp_path / "clusters" / "report").glob("cluster-*.html")]
    assert len(pages) == count
    assert all("nan" not in page.read_text() for page in [*pages, tmp_path / "clusters" / "report.html"])


def test_a_measure_that_is_not_defined_is_said_to_be_so(tmp_path: Path) -> None:
    """Report D6."""
    desk_with(tmp_path, 4)
    swept = as_json(tmp_path, "sweep", "--k", "1:4")
    assert [row["silhouette"] is None for row in swept["rows"]] == [True, False, False, True]
    said = imgcluster(tmp_path, "sweep", "--k", "1:4")
    assert "nan" not in said
    assert said.count("not defined") == sum(row[name] is None for row in swept["rows"] for name in row)
    said = imgcluster(tmp_path, "cluster", "--k", "1")
    assert "silhouette not defined" in said
