"""Names that no two files of one folder share, whatever file system it lies on."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from imgcluster.errors import UsageError

NAME_LIMIT = 255
UNSORTED = "unsorted"
"""The folder of the images that fit in no cluster."""
NOT = "not "
"""Before the name of a cluster: any but that."""
_LONGEST_EXTENSION = 20
_LONGEST_NAME = 120  # bytes; with a number, some file systems take no more
_REFUSED = '/\\:*?"<>|'
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)", re.IGNORECASE)
_TAG_DIGITS = 8


def folder_name(cluster: int, name: str = "") -> str:
    """Give the name of a cluster's folder; -1 is no cluster. It differs from others by the number alone."""
    return UNSORTED if cluster < 0 else f"{cluster} {_safe(name)}".rstrip(" .")


def name_in_folder(folder: str, cluster: int) -> str:
    """Give the name that a folder says the cluster has, by whomever the folder was named."""
    return re.sub(rf"\A{cluster}(?= |\Z)", "", folder).strip()


def composed(name: str) -> str:
    """Return a name without blanks around it, its accents composed: one name has one form."""
    return unicodedata.normalize("NFC", name.strip())


def checked_name(name: str) -> str:
    """Return a name for a cluster as `composed`. UsageError where it is empty or a path."""
    name = composed(name)
    if not name:
        raise UsageError("a name cannot be empty")
    if "/" in name or name in {".", ".."}:
        raise UsageError(f"{name} is a path: a name goes without /")
    if f"{name} ".startswith(NOT) or name == UNSORTED:
        raise UsageError(f"no cluster can be called {name!r}: in an edits file that says something else")
    return name


def _safe(name: str) -> str:
    """Make a name such that every file system takes it behind a number."""
    text = _without_refused(name)
    while len(text.encode()) > _LONGEST_NAME:
        text = text[:-1]
    return text


def portable_name(name: str) -> str:
    """Return what every file system takes in place of a name: mostly the name itself."""
    text = _without_refused(os.fsencode(name).decode("utf-8", "replace").replace("\ufffd", "_"))
    stem = text.rstrip(" .")
    return f"_{stem}" if _DEVICES.match(stem) or not stem else stem + "_" * (len(text) - len(stem))


def _without_refused(name: str) -> str:
    return "".join(c if c.isprintable() and c not in _REFUSED else "_" for c in name)


def distinct_names(files: Sequence[tuple[str, bytes, str]], limit: int = NAME_LIMIT) -> list[str]:
    """Give each file of one folder a name of its own, which does not depend on the order of `files`.

    A file keeps its base name where no other asks for it. Those that differ by case or by Unicode composition
    at most (one name to some file systems) all get the first digits of their key between stem and extension;
    equal files of one name, which share a key, are numbered besides. A name longer than `limit` bytes is
    shortened at a character boundary and gets the digits too.

    Parameters
    ----------
    files
        (base name, key, path) of each file; the path only orders equal files.
    limit
        Most bytes in a name.

    Returns
    -------
    list of str
        One name per file, in the order of `files`.
    """
    forms = [folded(name) for name, _, _ in files]
    wanted = Counter(forms)
    plain = [wanted[forms[i]] == 1 and _fits(name, limit) for i, (name, _, _) in enumerate(files)]
    names = [name for name, _, _ in files]
    taken = {forms[i] for i, is_plain in enumerate(plain) if is_plain}
    tried: defaultdict[str, int] = defaultdict(lambda: 1)
    crowded = [i for i, is_plain in enumerate(plain) if not is_plain]
    for i in sorted(crowded, key=lambda i: (forms[i], files[i][1], files[i][2])):
        name, key, _ = files[i]
        tag = key[: _TAG_DIGITS // 2].hex()
        names[i] = tagged(name, tag, limit)
        first = own = folded(names[i])
        while own in taken:
            tried[first] += 1
            names[i] = tagged(name, f"{tag}-{tried[first]}", limit)
            own = folded(names[i])
        taken.add(own)
    return names


def tagged(name: str, tag: str, limit: int = NAME_LIMIT) -> str:
    """Put `tag` between stem and extension, the stem shortened so that all fit in `limit` bytes."""
    stem, extension = os.path.splitext(name)
    if not _fits(extension, _LONGEST_EXTENSION):
        stem, extension = name, ""
    if _fits(name, limit - len(tag) - 1):
        return f"{stem}-{tag}{extension}"
    room = limit - len(os.fsencode(extension)) - len(tag) - 1
    end = len(stem)
    while len(os.fsencode(stem[:end])) > room:
        end -= 1
    return f"{stem[:end]}-{tag}{extension}"


def substitutes(name: str, tag: str) -> Iterator[str]:
    """Yield the names that stand in for one that is taken, the first that is free being the one."""
    yield tagged(name, tag)
    yield from (tagged(name, f"{tag}-{number}") for number in itertools.count(2))


def under_free_name(put: Callable[[str], object], names: Iterable[str]) -> str:
    """Call `put` with one name after the other while it says FileExistsError; return the one that it took."""
    for name in names:
        with contextlib.suppress(FileExistsError):
            put(name)
            return name
    raise AssertionError("names do not end")


def _fits(name: str, limit: int) -> bool:
    return 4 * len(name) <= limit or len(os.fsencode(name)) <= limit


def folded(name: str) -> str:
    """Return what names have in common that are one to some file system."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
