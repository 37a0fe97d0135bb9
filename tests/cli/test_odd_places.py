"""Folders, stores and tables may themselves be called anything."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from fakes import write_images
from in_process import answer

NETWORK = ("--network", "efficientnet_lite0")
PLACE = os.fsdecode(b"caf\xe9/party \xf0\x9f\x8e\x89\xe2\x80\xae\n/   /-rf/=1+1\r/%20#?&;'\"<b>")
NAME = os.fsdecode(b"-=1 caf\xe9\r\n\xe2\x80\xae'\"<b>%41")


def test_the_whole_way_works_where_nothing_has_a_plain_name(tmp_path: Path) -> None:
    work = os.path.join(tmp_path, PLACE)
    photos = write_images(Path(work) / NAME, 2, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    store, out, table, failed = (f"./{NAME}{end}" for end in (".h5", ".out", ".csv", " failed.csv"))
    extract = ("extract", f"./{NAME}", "--store", store, "--failures", failed, *NETWORK)
    assert answer(*extract, cwd=work)["new"] == 4
    made = answer("cluster", "--store", store, "--out", out, "--mode", "symlink", "--report", cwd=work)
    assert made["images"] == 4
    assert os.path.isfile(os.path.join(work, made["report"]))
    found = answer("similar", str(photos[0]), "--store", store, "--clusters", out, cwd=work)
    assert {image["path"] for image in found["similar"]} == {str(path) for path in photos[1:]}
    answer("assign", f"./{NAME}", "--clusters", out, "-o", table, cwd=work)
    with open(os.path.join(work, table), encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {os.path.normpath(os.path.join(work, row["path"])) for row in rows} == {str(p) for p in photos}
    # The tree can be moved, and is undone where it lies then.
    moved = os.path.join(tmp_path, "moved")
    os.rename(work, moved)
    answer("undo", "--clusters", out, cwd=moved)
    assert not os.path.exists(os.path.join(moved, out))
