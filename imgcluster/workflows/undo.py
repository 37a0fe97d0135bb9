"""Undo: take a clustering away; images that were moved go back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcluster.output.undo import undo as take_away
from imgcluster.records import Progress, SilentProgress

if TYPE_CHECKING:
    from imgcluster.output.undo import Undone


def undo(
    clusters: str | os.PathLike[str] = "clusters", *, force: bool = False, progress: Progress | None = None
) -> Undone:
    """Remove what `cluster` put into a folder, and nothing else.

    Raises
    ------
    ImgclusterError
        Where the folder is not ours, or another file has taken the place of a moved image.
    """
    return take_away(os.fspath(clusters), force=force, progress=progress or SilentProgress())
