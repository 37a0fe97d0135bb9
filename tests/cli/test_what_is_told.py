"""What commands name after a change is there to be opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clusterings import desk_with_photos
from fakes import FakeSource
from in_process import answer, imgcluster

from imgcluster.cli import places

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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


def test_pages_to_open_and_folders_without_images_are_named_from_the_root(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 2).extract()
    done = imgcluster("sweep", "--k", "2", "--report", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == f"open {tmp_path / 'sweep-report' / 'report.html'}"
    (tmp_path / "empty").mkdir()
    for command in ("extract .", "cluster . --store ../features.h5"):
        assert f"below {tmp_path / 'empty'}" in imgcluster(*command.split(), cwd=tmp_path / "empty").stderr


def test_where_nothing_is_to_undo_that_is_said(tmp_path: Path) -> None:
    for command in ("undo", "undo --all", "undo --dry-run"):
        done = imgcluster(*command.split(), cwd=tmp_path)
        says = f"no clustering in {tmp_path / 'clusters'}, which does not exist: there is nothing to undo "
        assert (done.exit_code, done.stderr) == (1, f"{says}(--clusters names another folder)\n")


def test_a_table_that_lost_its_rows_is_named(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 2).extract()
    answer("cluster", "--k", "3", cwd=tmp_path)
    table = tmp_path / "clusters" / "assignments.csv"
    table.write_text(table.read_text().splitlines()[0])
    for command in ("evaluate --labels folders", "report"):
        done = imgcluster(*command.split(), cwd=tmp_path)
        assert done.exit_code == 1
        assert "clusters has no image in its table: run `imgcluster cluster` again\n" in done.stderr


def test_a_sheet_is_of_a_cluster_by_its_number_or_its_name(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 2).extract()
    answer("cluster", "--k", "3", cwd=tmp_path)
    imgcluster("name", "1=cats", cwd=tmp_path)
    for which, told in (("1", 1), ("cats", "cats")):
        made = answer("contact-sheet", "--cluster", which, "-o", "sheet.png", cwd=tmp_path)
        assert made == {"out": "sheet.png", "cluster": told, "images": 2}


def test_a_prune_may_only_tell(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path, 2)
    desk.extract()
    (desk.photos / "red" / "red0.png").unlink()
    for _ in range(2):
        done = imgcluster("store", "prune", "--dry-run", cwd=tmp_path)
        assert done.stdout == "features.h5: would remove 1 path and 1 row; nothing was changed\n"


def test_what_was_being_read_when_a_run_died_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource())
    desk = desk_with_photos(tmp_path, 1)
    suspect = desk.photos / "red" / "red0.png"
    (tmp_path / "features.h5.inflight").write_bytes(os.fsencode(suspect).ljust(4096, b"\0"))
    done = imgcluster("extract", "photos", cwd=tmp_path)
    assert (
        f"1 file was being read when an earlier run died, the first: {suspect}: each is read" in done.stderr
    )
    assert done.exit_code == 0


def test_what_fits_nowhere_is_counted_and_a_diff_says_which_number_is_whose(tmp_path: Path) -> None:
    desk_with_photos(tmp_path, 3).extract()
    (tmp_path / "edits.csv").write_text("path,cluster\nphotos/red/red0.png,unsorted\n")
    done = imgcluster("cluster", "--k", "3", "--edits", "edits.csv", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "  unsorted: 1 image in no cluster"
    imgcluster("cluster", "--k", "2", "--out", "two", cwd=tmp_path)
    assert "in clusters  in two  path" in imgcluster("diff", "clusters", "two", cwd=tmp_path).stdout
