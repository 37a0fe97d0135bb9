"""Rows of text as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = tuple("=+-@\t\r")
_MARKED = (*_FORMULA, "'")


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV in UTF-8; bytes of names that are not UTF-8 come back as they were.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; paths, which begin with
    ``/`` or ``./``, never need one.
    """
    text = io.StringIO(newline="")
    # A character that ends lines is quoted where it stands in a cell; the other one that readers take for an
    # end would not be.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row]
        for row in rows
    )
    return text.getvalue().encode("utf-8", "surrogateescape")


def no_formula(text: str) -> str:
    """Return text that no spreadsheet takes for a formula; `as_typed` gives it back."""
    return f"'{text}" if text.startswith(_MARKED) else text


def as_typed(text: str) -> str:
    """Return what `no_formula` was given; other text, as of a file written by hand, as it is."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_MARKED) else text
