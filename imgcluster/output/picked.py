"""A new folder of a few images, as links or copies; all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing

from imgcluster.errors import ImgclusterError
from imgcluster.files import Expected, temporary_name
from imgcluster.held import make_folder, remove_all, rename_new
from imgcluster.output.link_modes import Placer
from imgcluster.output.names import distinct_names


def check_new_folder(out: str) -> None:
    """Raise ImgclusterError where something lies at `out`, or there is nowhere to make it."""
    if os.path.lexists(out):
        raise ImgclusterError(f"{out} is there already: name a new folder")
    if not os.path.isdir(os.path.dirname(os.path.abspath(out))):
        raise ImgclusterError(f"{os.path.dirname(os.path.abspath(out))} does not exist: make it first")


def make_folder_of(images: Sequence[tuple[str, Expected]], out: str) -> None:
    """Put images, as they were compared, into a new folder under their own names; the files themselves stay.

    Raises
    ------
    ImgclusterError
        Where something lies at `out`, or cannot be written.
    """
    check_new_folder(out)
    out = os.path.realpath(out)
    names = distinct_names([(os.path.basename(path), image.key, path) for path, image in images])
    made = temporary_name(os.path.dirname(out))
    placer = Placer("auto")
    try:
        make_folder(made)
        with closing(placer):
            for (path, expected), name in zip(images, names, strict=True):
                placer.place(os.path.realpath(path), os.path.join(made, name), out, expected)
        rename_new(made, out)
    except BaseException as error:
        remove_all(made)
        if isinstance(error, OSError):
            raise ImgclusterError(f"cannot make {out}: {error.strerror}; name another folder") from error
        raise
