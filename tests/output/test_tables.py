"""Any name comes back out of a table as it went in."""

from __future__ import annotations

import csv
import io
import os

from hypothesis import example, given
from hypothesis import strategies as st

from imgcluster.output.tables import csv_bytes

cells = st.binary(max_size=12).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(st.lists(st.tuples(cells, cells), max_size=5))
@example([("/photos/a\r=1+2.jpg", "b")])
@example([("\r", "\n"), ("\udce9", '"')])
def test_cells_of_any_bytes_come_back(rows: list[tuple[str, str]]) -> None:
    text = csv_bytes(("one", "two"), rows).decode("utf-8", "surrogateescape")
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]


@given(st.sampled_from("=+-@\t\r"), cells)
def test_no_cell_is_a_formula(start: str, rest: str) -> None:
    """S19: a reason that a store states, a path that is none."""
    text = csv_bytes(("one", "two"), [(start + rest, -1)]).decode("utf-8", "surrogateescape")
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == [f"'{start}{rest}", "-1"]
