"""What commands name after a change is there to be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterings import desk_with_photos
from in_process import answer, imgcluster

if TYPE_CHECKING:
    from pathlib import Path


def test_of_a_table_no_folders_are_told(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 2).extract()
    told = {}
    for command in ("cluster --k 3 --mode table", "name 0=cats", "undo --dry-run", "undo"):
        done = imgcluster(*command.split(), cwd=tmp_path)
        assert done.exit_code == 0, done.output
        told[command] = done.stdout.splitlines()[-4:]
    unnamed = ["  clusters/assignments.csv:", "    0: 2 images", "    1: 2 images", "    2: 2 images"]
    named = [*unnamed[:1], "    0 cats: 2 images", *unnamed[2:]]
    assert list(told.values()) == [unnamed, named, unnamed, unnamed]
    assert not (tmp_path / "clusters" / "0").exists()


def test_the_page_that_a_step_back_made_again_is_named(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 2).extract()
    answer("cluster", "--k", "3", "--report", cwd=tmp_path)
    for name in ("0=cats", "0=dogs"):
        imgcluster("name", name, cwd=tmp_path)
    page = "clusters/report.html"
    done = imgcluster("undo", cwd=tmp_path)
    assert done.stdout.splitlines()[-1].endswith(page)
    assert "cats (0)" in (tmp_path / page).read_text()
    back = answer("undo", cwd=tmp_path)
    assert back["report"].endswith(page)
    assert back.keys().isdisjoint({"had_report", "mode"})
    assert "cats (0)" not in (tmp_path / page).read_text()
    assert answer("undo", cwd=tmp_path)["report"] is None
