"""Undo: take a clustering away; images that were moved go back."""

from __future__ import annotations

import os
from collections.abc import Sequence

from imgcluster.output.trust import take_over
from imgcluster.output.undo import Undone, would_undo
from imgcluster.output.undo import undo as take_away
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress


def undo(
    clusters: str | os.PathLike[str] = "clusters",
    *,
    force: bool = False,
    trust: Sequence[str] = (),
    dry_run: bool = False,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> Undone:
    """Remove what `cluster` put into a folder, and nothing else.

    Parameters
    ----------
    trust
        Folders that images may go back to from a clustering that `owner` does not know.
    dry_run
        Only tell what would go.

    Raises
    ------
    ImgclusterError
        Where the folder is not ours, or another file has taken the place of a moved image.
    """
    out, progress = os.fspath(clusters), progress or SilentProgress()
    take_over(out, trust, owner, progress.note, dry_run=dry_run)
    if dry_run:
        return would_undo(out)
    return take_away(out, force=force, progress=progress, owner=owner)
