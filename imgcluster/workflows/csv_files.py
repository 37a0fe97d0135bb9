"""Tables that a person made, as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def read_table(
    file: str, columns: Sequence[str], optional: Sequence[str] = (), data: bytes | None = None
) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """Yield for each row its line number and its cells in `columns` and `optional`; None for a missing one.

    `data` is what is in the file, where that was read before. Bytes that are not UTF-8 come as surrogate
    escapes, as in names of files.

    Raises
    ------
    ImgclusterError
        Where the file is missing, lacks a column, or is not CSV, with the line.
    """
    wanted = " and ".join(columns)
    try:
        read = Path(file).read_bytes() if data is None else data
    except OSError as error:
        raise ImgclusterError(
            f"{file}: {error.strerror}: name a CSV file with the columns {wanted}"
        ) from error
    text = read.decode("utf-8-sig", "surrogateescape")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if not set(columns) <= set(reader.fieldnames or ()):
            raise ImgclusterError(f"{file} needs the columns {wanted} in its first line")
        for row in reader:
            yield reader.line_num, tuple(row.get(column) for column in (*columns, *optional))
    except csv.Error as error:
        raise ImgclusterError(f"{file}, line {reader.line_num + 1}, is not CSV: {error}") from error
