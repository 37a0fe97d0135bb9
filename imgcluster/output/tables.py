"""Rows of text as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV in UTF-8; bytes of names that are not UTF-8 come back as they were.

    The caller sees to it that a cell which comes from a file name begins so that no spreadsheet takes it for
    a formula.
    """
    text = io.StringIO(newline="")
    # A character that ends lines is quoted where it stands in a cell; the other one that readers take for an
    # end would not be.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
