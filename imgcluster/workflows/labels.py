"""The class of each image, as a person has sorted them: by folder, in a CSV file, or as values of Python."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
        ``folders`` (the class is the name of the image's folder), ``folders:N`` (of the folder that lies N
        levels below what all images share), or a CSV file with the columns path and label; its paths are
        absolute or relative to the file. Or a mapping or Series from paths to classes; or the classes of
        `originals`, in their order. None and NaN are no class.
    originals
        Absolute paths of the images.
    notify
        Told about rows that name no image, and about names that stand for several folders.

    Raises
    ------
    UsageError
        Where there are more or fewer labels than images, or what is given are no labels.
    ImgclusterError
        Where the file is missing, has other columns, or labels none of the images; or none lies so deep.
    """
    if not isinstance(choice, str | os.PathLike):
        return _given(choice, originals)
    choice = os.fspath(choice)
    level = re.fullmatch(rf"{FOLDERS}(?::([1-9]\d*))?", choice)
    if level:
        return _classes(_folders(set(originals), int(level[1] or 0)), notify)
    return _in_file(choice, originals, notify)


def _given(choice: Mapping[Any, Any] | Iterable[Any], originals: Sequence[str]) -> dict[str, str]:
    if not isinstance(choice, Iterable):
        raise UsageError(f"{choice!r} is neither labels by path nor one for each image")
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
    labels = {
        path: str(label)
        for path, label in wanted.items()
        if label is not None and not (isinstance(label, float) and math.isnan(label))
    }
    if not labels:
        raise ImgclusterError("these labels name none of the images: give their paths as they were extracted")
    return labels


def _in_file(file: str, originals: Sequence[str], notify: Notify) -> dict[str, str]:
    wanted, folder = set(originals), os.path.dirname(os.path.abspath(file))
    labels: dict[str, str] = {}
    others = []
    for line, (cell, given) in read_table(file, ("path", "label")):
        if not cell:
            continue
        path, label = os.path.normpath(os.path.join(folder, cell)), (given or "").strip()
        if path not in wanted:  # a name may begin with a blank, but more often one follows a comma
            path = os.path.normpath(os.path.join(folder, cell.strip()))
        if path in wanted and label:
            labels[path] = label
        else:
            others.append(f"line {line}: {f'{path} is no image here' if label else 'there is no label'}")
    if not labels:
        raise ImgclusterError(f"{file} labels none of the images: its paths are taken relative to its folder")
    if others:
        rows = quantity(len(others), "row")
        notify(f"{rows} of {file} without effect, the first in {others[0]}")
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
