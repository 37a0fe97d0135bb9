"""Results that show pictures of their images in a notebook."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.images.file_bytes import read_file
from imgcluster.tabular import Tabular
from imgcluster.workflows.known_images import KNOWN_LIMITS

PICTURES_IN_A_ROW = 6
_MOST_ROWS = 20
_SIDE = 96


class Pictured(Tabular):
    """A result whose images a notebook shows below its table."""

    def pictures(self) -> Iterable[tuple[str, Sequence[str]]]:
        """Give titles, each with the files of a few images."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        rows = (
            f"<p>{escape(title)}<br>{''.join(map(_picture, files[:PICTURES_IN_A_ROW]))}</p>"
            for title, files in islice(self.pictures(), _MOST_ROWS)
        )
        return f"{super()._repr_html_()}{''.join(rows)}"


def _picture(file: str) -> str:
    name = escape(os.fsencode(os.path.basename(file)).decode(errors="replace"))
    try:
        pixels = decode(read_file(file), KNOWN_LIMITS, at_least=_SIDE).pixels
    except UnreadableImage as refusal:
        return f"<span>{name}: {escape(str(refusal))}</span> "
    data = base64.b64encode(thumbnail_jpeg(pixels, _SIDE)).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{name}" title="{name}" style="display:inline"> '
