"""Tables that people make are read as they are, or refused in one line that says where."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.labels import labels_of


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
        labels_of(str(table), ["/a"])
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImgclusterError, match="Is a directory: name a CSV file with the columns path"):
        rows(tmp_path)
    with pytest.raises(ImgclusterError, match=r"gone\.csv: No such file"):
        rows(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    "table_of",
    [
        '"Path";"Label"\r\n"a;b.jpg";cat\r\n',
        "PATH\tother\tLABEL\na;b.jpg\t1\tcat\n",
        'sep=;\nlabel; path\ncat;"a;b.jpg"\n',
        "path|Label\na;b.jpg|cat\n",
        'Path,Label\n"a;b.jpg",cat\n\n',
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_of_other_programs_are_read(table: Path, table_of: str, coding: str) -> None:
    table.write_bytes(table_of.encode(coding))
    line = 3 if table_of.startswith("sep") else 2
    assert rows(table) == [(line, ("a;b.jpg", "cat"))]
    path = str(table.parent / "a;b.jpg")
    assert labels_of(str(table), [path]) == {path: "cat"}


def test_rows_without_effect_are_counted_and_no_label_is_no_class(table: Path) -> None:
    table.write_text("path,label\na.jpg,cat\nb.jpg,\nelsewhere.jpg,dog\nc.jpg, \n,cat\n")
    notes: list[str] = []
    paths = [str(table.parent / f"{name}.jpg") for name in "abc"]
    assert labels_of(str(table), paths, notes.append) == {paths[0]: "cat"}
    assert notes == [f"3 rows of {table} without effect, the first in line 3: there is no label"]
    labels_of(str(table), [paths[0], str(table.parent / "elsewhere.jpg")], notes.append)
    assert "line 3" in notes[1]


def test_a_blank_behind_a_comma_counts_only_where_a_name_has_it(table: Path) -> None:
    table.write_text("label, path\ncat, a.jpg\ndog, b.jpg\n")
    paths = [str(table.parent / name) for name in ("a.jpg", " b.jpg", "b.jpg")]
    assert labels_of(str(table), paths) == {paths[0]: "cat", paths[1]: "dog"}


@pytest.mark.parametrize("what", ["a pipe", "a device", "a large file"])
def test_what_lies_in_the_place_of_a_table_is_neither_waited_for_nor_taken_into_memory(
    table: Path, what: str
) -> None:
    if what == "a pipe":
        os.mkfifo(table)
    elif what == "a device":
        table.symlink_to("/dev/zero")
    else:
        table.touch()
        os.truncate(table, 1 << 36)
    with pytest.raises(ImgclusterError, match=r"table\.csv.*(column|neither|larger)"):
        rows(table)


def test_a_pipe_that_is_written_to_is_read_to_its_end(table: Path) -> None:
    """As a shell hands over the output of a command: `--edits <(make-edits)`."""
    reading, writing = os.pipe()
    os.write(writing, b"path,label\na.jpg,cat\n")
    os.close(writing)
    assert rows(Path(f"/dev/fd/{reading}")) == [(2, ("a.jpg", "cat"))]
    os.close(reading)


def test_empty_lines_before_the_first_do_not_count(table: Path) -> None:
    table.write_text("\n\npath,label\na.jpg,cat\n")
    assert rows(table) == [(4, ("a.jpg", "cat"))]
