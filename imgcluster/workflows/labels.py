"""The class of each image, as a person has sorted them: by folder, in a CSV file, or as values of Python."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.records import Notify
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.options import FOLDERS

Labels = str | os.PathLike[str] | Mapping[Any, Any] | Iterable[Any]
"""As `labels_of` takes them."""


def labels_of(choice: Labels, originals: Sequence[str], notify: Notify = lambda _: None) -> Mapping[str, str]:
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
        return read_labels(os.fspath(choice), originals, notify)
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


def read_labels(choice: str, originals: Iterable[str], notify: Notify = lambda _: None) -> Mapping[str, str]:
    """Read the class of each labelled image, by the path that it came from.

    Parameters
    ----------
    choice
        ``folders`` (the class is the name of the image's folder), ``folders:N`` (of the folder that lies N
        levels below what all images share), or a CSV file with the columns path and label; its paths are
        absolute or relative to the file.
    originals
        Absolute paths of the images.
    notify
        Told about rows that name no image, and about names that stand for several folders.

    Raises
    ------
    ImgclusterError
        Where the file is missing, has other columns, or labels none of the images; or none lies so deep.
    """
    wanted = set(originals)
    level = re.fullmatch(rf"{FOLDERS}(?::([1-9]\d*))?", choice)
    if level:
        return _classes(_folders(wanted, int(level[1] or 0)), notify)
    labels, others = {}, []
    for line, path, label in _rows(choice):
        if path not in wanted or not label:
            others.append((line, path, label))
        else:
            labels[path] = label
    if not labels:
        raise ImgclusterError(
            f"{choice} labels none of the images: its paths are taken relative to its folder"
        )
    if others:
        line, path, label = others[0]
        what = f"{path} is no image here" if label else "there is no label"
        notify(f"{quantity(len(others), 'row')} of {choice} without effect, the first in line {line}: {what}")
    return labels


def _folders(paths: Collection[str], level: int) -> dict[str, str]:
    """Give for each path the folder that makes its class; 0 is the one that it lies in."""
    if not level:
        return {path: os.path.dirname(path) for path in paths}
    shared = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else "/"
    folders = {}
    for path in paths:
        below = os.path.relpath(os.path.dirname(path), shared).split(os.sep)
        if len(below) >= level and below != [os.curdir]:
            folders[path] = os.path.join(shared, *below[:level])
    if not folders:
        raise ImgclusterError(
            f"no image lies {quantity(level, 'folder')} below {shared}: choose another level"
        )
    return folders


def _classes(folders: Mapping[str, str], notify: Notify) -> dict[str, str]:
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    for folder in folders.values():
        by_name[os.path.basename(folder)].add(folder)
    repeated = [name for name, places in sorted(by_name.items()) if len(places) > 1]
    if repeated:
        one, other, *_ = sorted(by_name[repeated[0]])
        count = "1 class is" if len(repeated) == 1 else f"{len(repeated)} classes are"
        notify(
            f"{count} made of several folders of one name, such as {one} and {other}: "
            f"--labels {FOLDERS}:1 takes the first level below the folder that all images share"
        )
    return {path: os.path.basename(folder) for path, folder in folders.items()}


def _rows(file: str) -> Iterator[tuple[int, str, str]]:
    folder = os.path.dirname(os.path.abspath(file))
    for line, (path, label) in read_table(file, ("path", "label")):
        if path:
            yield line, os.path.normpath(os.path.join(folder, path)), (label or "").strip()
