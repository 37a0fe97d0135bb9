"""Results that are tables as well: data frames to compute with, HTML for notebooks."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from itertools import islice
from operator import attrgetter
from typing import Any, ClassVar

from imgcluster.errors import ImgclusterError

_LIBRARIES = ("pandas", "polars")
_ROWS_SHOWN = 10
_CELL = 'style="text-align:left;white-space:nowrap"'


class Tabular:
    """A result that is a table as well: by itself of its single values, in one row.

    ``class Found(Tabular, rows="files", of=File)`` has a row for each of its `files` (without a name: of
    itself), whose columns are the fields of `File`, a dataclass, or some attributes, by their names. Bytes,
    such as keys, are written in hex.
    """

    _rows: ClassVar[str] = ""
    _columns: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, rows: str = "", of: type[Any] | Sequence[str] = ()) -> None:
        super().__init_subclass__()
        if of:
            names = [each.name for each in fields(of)] if isinstance(of, type) else of
            cls._rows, cls._columns = rows, tuple(names)

    def table(self) -> Mapping[str, Any]:
        """Give the columns, lists or arrays, by name."""
        if not self._columns:
            return {name: [value] for name, value in self._figures().items()}
        items: Any = attrgetter(self._rows)(self) if self._rows else self
        return {name: [_plain(getattr(each, name)) for each in items] for name in self._columns}

    def to_frame(self) -> Any:
        """Give the table as a data frame of pandas or polars: of the one in use, else of what is installed.

        In polars, whose text is UTF-8, other bytes of names become the replacement character.

        Raises
        ------
        ImgclusterError
            Where neither is installed.
        """
        for name in sorted(_LIBRARIES, key=lambda name: name not in sys.modules):
            if importlib.util.find_spec(name) is not None:
                table = dict(self.table())
                if name == "polars":
                    table = {column: [*map(_readable, values)] for column, values in table.items()}
                return importlib.import_module(name).DataFrame(table)
        raise ImgclusterError("a data frame needs pandas or polars: pip install pandas")

    def _figures(self) -> dict[str, Any]:
        values = getattr(self, "__dict__", {})
        return {name: v for name, v in values.items() if v is None or isinstance(v, str | int | float)}

    def _repr_html_(self) -> str:
        """Show figures and the first rows in a notebook."""
        table = self.table()
        count = max(map(len, table.values()), default=0)
        rows = islice(zip(*table.values(), strict=True), _ROWS_SHOWN)
        figures = " · ".join(f"{escape(name)} {_shown(value)}" for name, value in self._figures().items())
        head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in table)
        body = "".join(f"<tr>{''.join(f'<td {_CELL}>{_shown(v)}</td>' for v in row)}</tr>" for row in rows)
        more = f"<p>… and {count - _ROWS_SHOWN} more rows</p>" if count > _ROWS_SHOWN else ""
        name = escape(type(self).__name__)
        return f"<p><b>{name}</b> {figures}</p><table><tr>{head}</tr>{body}</table>{more}"


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _readable(value: Any) -> Any:
    return decodable(value) if isinstance(value, str) else value


def decodable(text: str) -> str:
    """Return `text` without surrogates: what is not UTF-8 becomes the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _shown(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    # A key in full would leave no room for what people look for.
    return escape(decodable(f"{text[:8]}…" if re.fullmatch(r"[0-9a-f]{64}", text) else text))
