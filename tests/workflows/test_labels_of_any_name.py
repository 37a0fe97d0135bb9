"""A table of labels names files as they are called, whatever that is."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from imgcluster.workflows.labels import labels_of


@pytest.mark.parametrize("name", ["a\r\nb.jpg", "a\rb.jpg", "a\nb.jpg", "\udce9\n.jpg", " ", '"a,b".jpg'])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_name_with_line_breaks_has_its_label(tmp_path: Path, name: str, line_end: str) -> None:
    table = tmp_path / "labels.csv"
    with open(table, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file, lineterminator=line_end, quoting=csv.QUOTE_ALL)
        rows.writerows([("path", "label"), (f"./photos/{name}", "cat")])
    path = os.path.join(tmp_path, "photos", name)
    assert labels_of(str(table), [path]) == {path: "cat"}
