"""File names made safe to show, to copy and to link to; they may hold any byte but 0."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from imgcluster.tabular import decodable

_DELETE = 0x7F
_LINE_BREAKS = "\u2028\u2029"
# These reorder the text around them, so that a name can pose as another.
_DIRECTION = "\u202a-\u202e\u2066-\u2069"
_UNSHOWABLE = re.compile(f"[\x00-\x1f\x7f-\x9f{_LINE_BREAKS}{_DIRECTION}]")
# A terminal that gets these in a pasted line may run what follows.
_RUNS = re.compile(r"[;&|<>$`\\]")


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < ord(" "):
        return chr(0x2400 + code)  # "control pictures": ␊ for a line feed
    return "\u2421" if code == _DELETE else "\ufffd"


def shown(text: str) -> str:
    """Return `text` for reading: on one line, in one direction, every character visible."""
    return _UNSHOWABLE.sub(_picture, decodable(text))


def script_json(value: object) -> str:
    """Write JSON to stand inside a script element: without ``<``, so that no name can end it.

    ValueError for a number that JSON does not know.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def url(file: str) -> str:
    """Return the URL of a file: relative for a relative path, ``file://`` for an absolute one.

    Every byte that could mean something else in a URL is percent-encoded, also those that are not UTF-8.
    """
    encoded = quote(os.fsencode(file), safe="/")
    return f"file://{encoded}" if os.path.isabs(file) else encoded


def copied(path: str) -> str:
    """Return what the copy button gives: the path itself, or its URL where a terminal may run a part of it.

    Its URL, too, where it is no text.
    """
    if decodable(path) != path or _UNSHOWABLE.search(path) or _RUNS.search(path):
        return url(path)
    return path


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One image file as pages show it.

    Attributes
    ----------
    key
        SHA-256 of the file's bytes, 64 hex characters; finds the thumbnail.
    path
        The path that a person reads and copies, in `os.fsdecode` form.
    file
        Where the full image lies: absolute, or relative to the folder that holds ``report.html``; in
        `os.fsdecode` form, not percent-encoded.
    mode
        Permissions of the file: a thumbnail of it is no more public.
    """

    key: str
    path: str
    file: str
    mode: int = field(default=0o666, kw_only=True)

    @property
    def name(self) -> str:
        """Its file name, for reading."""
        return shown(os.path.basename(self.path))

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in, for reading."""
        return shown(os.path.basename(os.path.dirname(self.path)))

    @property
    def copy(self) -> str:
        """What the copy button gives."""
        return decodable(copied(self.path))

    def link(self, here: str) -> str:
        """Return the URL of the full image from a page that finds ``report.html``'s folder at `here`."""
        return url(self.file) if os.path.isabs(self.file) else here + url(self.file)
