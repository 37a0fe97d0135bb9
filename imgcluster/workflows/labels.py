"""The class of each image, as a person has sorted them: by folder, in a CSV file, or as values of Python."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.options import FOLDERS

Labels = str | os.PathLike[str] | Mapping[Any, Any] | Iterable[Any]
"""As `labels_of` takes them."""


def labels_of(choice: Labels, originals: Sequence[str]) -> Mapping[str, str]:
    """Give the class of each labelled image, by the path that it came from.

    Parameters
    ----------
    choice
        As of `read_labels`; or a mapping or Series from paths to classes; or the classes of `originals`, in
        their order. None and NaN are no class.
    originals
        Absolute paths of the images.

    Raises
    ------
    UsageError
        Where there are more or fewer classes than images.
    ImgclusterError
        As of `read_labels`.
    """
    if isinstance(choice, str | os.PathLike):
        return read_labels(os.fspath(choice), originals)
    pairs: list[tuple[Any, Any]] = list(choice.items() if hasattr(choice, "items") else enumerate(choice))
    if all(isinstance(name, str | os.PathLike) for name, _ in pairs):
        named = {os.path.abspath(os.fspath(name)): label for name, label in pairs}
        wanted = {path: named[path] for path in originals if path in named}
    elif len(pairs) == len(originals):
        wanted = {path: label for path, (_, label) in zip(originals, pairs, strict=True)}
    else:
        raise UsageError(
            f"{quantity(len(pairs), 'label')} for {quantity(len(originals), 'image')}: "
            "give one for each, or labels by path"
        )
    labels = {path: str(label) for path, label in wanted.items() if label is not None and not _is_nan(label)}
    if not labels:
        raise ImgclusterError("these labels name none of the images: give their paths as they were extracted")
    return labels


def _is_nan(label: Any) -> bool:
    return isinstance(label, float) and math.isnan(label)


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
