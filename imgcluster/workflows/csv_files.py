"""Tables that a person made, as CSV."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

from imgcluster.errors import ImgclusterError
from imgcluster.files import read_typed

_KEY_BYTES = 32
_MOST_BYTES = 1 << 29
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


def read_table(
    file: str, columns: Sequence[str], optional: Sequence[str] = (), data: bytes | None = None
) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """Yield for each row its line number and its cells in `columns` and `optional`; None for a missing one.

    Cells are parted by what parts the columns in the first line: commas, semicolons, tabs or bars; the case
    of their names does not matter. `data` is what is in the file, where that was read before. Bytes that are
    not UTF-8 (or UTF-16) come as surrogate escapes, as in names of files.

    ImgclusterError where the file is missing, lacks a column, or is not CSV, with the line.
    """
    text = _decoded(read_whole(file, columns) if data is None else data)
    told = _SEPARATOR.match(text)
    skipped = 1 if told else 0
    text = text[told.end() :] if told else text
    line = 0
    try:
        for delimiter in told[1] if told else _DELIMITERS:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            first = next((row for row in reader if row), [])
            names = [name.strip().lower() for name in first]
            if set(columns) <= set(names):
                break
        else:
            raise ImgclusterError(f"{file} needs the {_named(columns)} in its first line")
        places = [names.index(name) if name in names else len(names) for name in (*columns, *optional)]
        for row in reader:
            line = reader.line_num
            if row:
                yield (
                    line + skipped,
                    tuple(row[at] if at < min(len(row), len(names)) else None for at in places),
                )
    except csv.Error as error:
        raise ImgclusterError(f"{file}, line {line + 1 + skipped}, is not CSV: {error}") from error


def read_whole(file: str, columns: Sequence[str]) -> bytes:
    """Read a table that may be a pipe, which gives its bytes once. ImgclusterError where that cannot be."""
    try:
        return read_typed(file, _MOST_BYTES)
    except OSError as error:
        message = f"{file}: {error.strerror}: name a CSV file with the {_named(columns)}"
        raise ImgclusterError(message) from error


def key_in(cell: str | None) -> bytes | None:
    """Read a key, 64 hex digits; None where a cell holds none."""
    try:
        key = bytes.fromhex(cell or "")
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _named(columns: Sequence[str]) -> str:
    *others, last = columns
    return f"columns {', '.join(others)} and {last}" if others else f"column {last}"


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if 0 in data[:2]:  # no first letter is a zero byte: UTF-16 without its mark
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", "replace")
    return data.decode("utf-8-sig", "surrogateescape")
