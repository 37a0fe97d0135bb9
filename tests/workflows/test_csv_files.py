"""Tables that people make are read as they are, or refused in one line that says where."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.labels import read_labels


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def rows(table: Path) -> list[tuple[int, tuple[str | None, ...]]]:
    return list(read_table(str(table), ("path", "label")))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_cells_come_with_their_line_whatever_else_is_there(table: Path, start: bytes) -> None:
    table.write_bytes(start + b'more,label,path\r\n1,"a\r\nb",caf\xe9.jpg\r\n2,c\r\n3,d,e,f\r\n')
    assert rows(table) == [(3, (os.fsdecode(b"caf\xe9.jpg"), "a\r\nb")), (4, (None, "c")), (5, ("e", "d"))]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "needs the columns path and label in its first line"),
        (b"path,class\n", "needs the columns path and label in its first line"),
        (b"path,label\na,b\nx," + b"y" * 200_000 + b"\n", "line 3, is not CSV: field larger than"),
        (b"z" * 200_000, "line 1, is not CSV: field larger than"),
    ],
)
def test_what_is_no_such_table_is_one_line(table: Path, content: bytes, complaint: str) -> None:
    table.write_bytes(content)
    with pytest.raises(ImgclusterError, match=f"^{re.escape(str(table))},? {complaint}") as caught:
        read_labels(str(table), ["/a"])
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImgclusterError, match="Is a directory: name a CSV file with the columns path"):
        rows(tmp_path)
    with pytest.raises(ImgclusterError, match=r"gone\.csv: No such file"):
        rows(tmp_path / "gone.csv")
