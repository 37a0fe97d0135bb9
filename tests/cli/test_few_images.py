"""Small collections, and as many clusters as there are images: through every command, as text and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusterings import Desk, backdate
from fakes import write_image
from in_process import answer, imgcluster


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
    result = answer("cluster", "--k", str(count), "--report", cwd=tmp_path)
    assert (result["k"], result["sizes"]) == (count, [1] * count)
    assert result["silhouette"] is None
    assert (tmp_path / result["report"]).exists()
    pages = [*(tmp_path / "clusters" / "report").glob("cluster-*.html")]
    assert len(pages) == count
    assert all("nan" not in page.read_text() for page in [*pages, tmp_path / "clusters" / "report.html"])
    again = answer("cluster", "--k", "1", cwd=tmp_path)  # where there was a report, there is one afterwards
    assert (tmp_path / again["report"]).exists()
    assert len([*(tmp_path / "clusters" / "report").glob("cluster-*.html")]) == 1
    assert answer("cluster", "--k", "1", "--no-report", cwd=tmp_path)["report"] is None


def test_a_measure_that_is_not_defined_is_said_to_be_so(tmp_path: Path) -> None:
    """Report D6."""
    desk_with(tmp_path, 3)
    swept = answer("sweep", "--k", "1:3", cwd=tmp_path)
    assert [row["silhouette"] is None for row in swept["rows"]] == [True, False, True]
    said = imgcluster("sweep", "--k", "1:3", cwd=tmp_path).stdout
    assert "nan" not in said
    assert said.count("not defined") == sum(row[name] is None for row in swept["rows"] for name in row)
    assert [row["k"] for row in answer("sweep", cwd=tmp_path)["rows"]] == [2, 3]  # where nobody asks for more
    said = imgcluster("cluster", "--k", "1", cwd=tmp_path).stdout
    assert "silhouette not defined" in said
