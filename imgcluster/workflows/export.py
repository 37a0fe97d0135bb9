"""Export: the embeddings of one feature space for other programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.output.single_file import check_target
from imgcluster.store.export import EXPORTERS, METADATA, METADATA_HEADER, NPZ_MARK, PROJECTOR_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from imgcluster.records import Notify, StoredSpace
    from imgcluster.workflows.collection import SpaceChoice


def export(where: SpaceChoice, out: str, form: str, *, notify: Notify = lambda _: None) -> StoredSpace:
    """Write one feature space as one of `EXPORTERS` does, over nothing but an earlier export.

    Raises
    ------
    ImgclusterError
        There is no such store or space, something else lies at `out`, or it cannot be written.
    """
    _CHECKS[form](out)
    with where.open(notify) as (store, space):
        EXPORTERS[form](store, space.name, out)
    return space


def _check_archive(out: str) -> None:
    check_target(out, NPZ_MARK)


def _check_folder(out: str) -> None:
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ImgclusterError(f"{out} is a file: name a folder")
    here = [name for name in PROJECTOR_FILES if os.path.lexists(os.path.join(out, name))]
    if here and METADATA not in here:  # the first that is written
        raise ImgclusterError(
            f"{os.path.join(out, here[0])} is not from an earlier export: name another folder"
        )
    check_target(os.path.join(out, METADATA), METADATA_HEADER, at_start=True)


_CHECKS: Mapping[str, Callable[[str], None]] = {"npz": _check_archive, "tensorboard": _check_folder}
