"""What a scan leaves out: by patterns of the user's, as .gitignore files have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgcluster.errors import UsageError

_PIECE = re.compile(
    r"(?P<any>\*+)|(?P<one>\?)|\[(?P<not>[!^]?)(?P<set>\]?[^]/]*)\]|\\?(?P<plain>.)", re.DOTALL
)


class Exclusion:
    """Patterns, of which the last that fits decides; one that begins with ``!`` takes in again.

    ``*``, ``?`` and ``[a-z]`` fit within a name, ``**`` also across folders. A pattern with a slash at its
    beginning or in its middle is of the whole path below the scanned folder, any other of a name at any
    depth; with a slash at its end it is of folders only. UsageError for a pattern that fits nothing.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules = [_rule(pattern) for pattern in patterns]

    def leaves_out(self, path: str, *, folder: bool) -> bool:
        """Whether a file or folder at `path`, relative to the scanned folder, is left out."""
        for expression, folders_only, leaves_out in reversed(self._rules):
            if (folder or not folders_only) and expression.fullmatch(path):
                return leaves_out
        return False


def _rule(pattern: str) -> tuple[re.Pattern[str], bool, bool]:
    glob = pattern.removeprefix("!")
    names = glob.rstrip("/")
    if not names:
        raise UsageError(
            f"--exclude {pattern!r} fits nothing: give a name, a path or a pattern such as '*.tif'"
        )
    parts = names.lstrip("/").split("/")
    if "/" not in names:
        parts.insert(0, "**")
    *above, last = parts
    folders = "".join("(?:.*/)?" if part == "**" else f"{_expression(part)}/" for part in above)
    name = ".+" if last == "**" else _expression(last)
    return re.compile(folders + name, re.DOTALL), glob.endswith("/"), not pattern.startswith("!")


def _expression(name: str) -> str:
    """Turn the pattern of one name into a regular expression."""
    found = []
    for piece in _PIECE.finditer(name):
        if piece["any"]:
            found.append("[^/]*")
        elif piece["one"]:
            found.append("[^/]")
        elif piece["set"]:
            members = re.sub(r"([\\\[\]^&|~])", r"\\\1", piece["set"])
            found.append(f"(?!/)[{'^' if piece['not'] else ''}{members}]")
        else:
            found.append(re.escape(piece["plain"] or piece[0]))
    return "".join(found)
