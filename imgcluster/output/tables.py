"""Rows of text as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = frozenset("=+-@\t\r")


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
    writer.writerows(map(_plain, row) for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _plain(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA else cell
