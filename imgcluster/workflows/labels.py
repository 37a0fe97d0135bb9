"""The class of each image, as a person has sorted them: by folder, or in a CSV file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.options import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def read_labels(choice: str, originals: Iterable[str]) -> Mapping[str, str]:
    """Read the class of each labelled image, by the path that it came from.

    Parameters
    ----------
    choice
        ``folders`` (the class is the name of the image's folder), or a CSV file with the columns path and
        label; its paths are absolute or relative to the file.
    originals
        Absolute paths of the images.

    Raises
    ------
    ImgclusterError
        Where the file is missing, has other columns, or labels none of the images.
    """
    wanted = set(originals)
    if choice == FOLDERS:
        return {path: os.path.basename(os.path.dirname(path)) for path in wanted}
    labels = {path: label for path, label in _rows(choice) if path in wanted}
    if not labels:
        raise ImgclusterError(
            f"{choice} labels none of the images: its paths are taken relative to its folder"
        )
    return labels


def _rows(file: str) -> Iterable[tuple[str, str]]:
    folder = os.path.dirname(os.path.abspath(file))
    for _, (path, label) in read_table(file, ("path", "label")):
        if path and label is not None:
            yield os.path.normpath(os.path.join(folder, path)), label
