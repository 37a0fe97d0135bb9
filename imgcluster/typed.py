"""What a person types, or nobody does: paths that are safe to take, and names that were meant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from imgcluster.errors import UsageError
from imgcluster.files import lies_below

_MOST_LOOKED_AT = 10_000

DEFAULT_STORE = "features.h5"
DEFAULT_CLUSTERS = "clusters"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Ask whether the most similar of `names` was meant; empty where none is similar."""
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in names}
    return "".join(f" (did you mean {by_lower[c]}?)" for c in get_close_matches(name.lower(), by_lower, 1))


def named_alike(missing: str | os.PathLike[str]) -> str:
    """Ask whether a file or folder beside one that does not exist was meant; empty where none is similar."""
    folder, name = os.path.split(os.path.abspath(missing))
    try:
        with os.scandir(folder) as entries:
            return did_you_mean(name, [entry.name for entry in islice(entries, _MOST_LOOKED_AT)])
    except OSError:
        return ""


def refuse_link_out(path: str) -> None:
    """Raise UsageError where `path`, a name that nobody typed, is a link that leads out of this folder.

    Who has made the folder would choose what is written, and where.
    """
    _refuse(path, os.path.realpath(path))


def typed_path(path: str | os.PathLike[str]) -> str:
    """Return a path as text. UsageError where it is none, or empty, as an unset variable is."""
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"{path!r} is no path")
    if not os.fspath(path):
        raise UsageError("a path is empty: name a file or folder (. is the current one)")
    return os.fspath(path)


def place_of(path: str) -> str:
    """Return where a store or a clustering lies, through links; UsageError as of `refuse_link_out`.

    What nobody typed is looked at whenever that is asked: it may be exchanged while a command works.
    """
    target = os.path.realpath(path)
    if path in {DEFAULT_STORE, DEFAULT_CLUSTERS}:
        _refuse(path, target)
    return target


def _refuse(path: str, target: str) -> None:
    if not lies_below(target, [os.getcwd()]):
        raise UsageError(f"{path} is a link that leads to {target}: name that place itself, if it is meant")
