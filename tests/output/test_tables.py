"""Any name comes back out of a table as it went in."""

from __future__ import annotations

import csv
import io
import os

from hypothesis import example, given
from hypothesis import strategies as st

from imgcluster.output.tables import as_typed, csv_bytes, no_formula

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


@given(cells)
@example("'90s")
@example("''90s")
@example("'=1")
def test_a_name_comes_back_and_one_written_by_hand_is_as_it_is(name: str) -> None:
    assert as_typed(no_formula(name)) == name
    assert as_typed("'90s") == "'90s"
