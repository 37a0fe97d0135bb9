"""The marker of a clustering: which files we put into the folder, and how to know each of them again."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from imgcluster.errors import ImgclusterError
from imgcluster.files import Expected, has_digest, read_limited, write_durably
from imgcluster.held import at, identity
from imgcluster.output.paths import absolute, below, is_path
from imgcluster.ownership import IN_MEMORY, Ownership, is_mine
from imgcluster.records import CLUSTERING_MARKER

SCHEMA = 1
_MOST_BYTES = 1 << 30  # of a marker: some four million images
_MOST_FOREIGN_BYTES = (
    1 << 26
)  # a quarter of a million; what anybody may write takes up to 24 times that in memory
_LONGEST_END = 100  # more than the signature at the end takes

Kind = Literal["hardlink", "copy", "symlink", "moved", "companion", "written"]
_KINDS = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class OwnFile:
    """One file that we put into a clustering.

    `source` tells where an image came from, as `PathTexts` writes it; `link` is what a symbolic link says.
    `key` is the SHA-256 of its bytes; of a companion it is empty, for that is ours by its name, as programs
    change it.
    """

    kind: Kind
    key: str
    size: int
    mtime_ns: int
    inode: int
    source: str = ""
    link: str = ""

    @classmethod
    def at(cls, path: str, kind: Kind, key: str, source: str = "") -> OwnFile:
        """Describe the file that was just put at `path`."""
        status = os.lstat(path)
        link = os.readlink(path) if kind == "symlink" else ""
        return cls(kind, key, status.st_size, status.st_mtime_ns, status.st_ino, source, link)

    @property
    def has_a_home(self) -> bool:
        """Whether it is the file itself that was moved, an image or a companion of one."""
        return self.kind in {"moved", "companion"}

    @property
    def recorded(self) -> Expected:
        """The file as it was put there."""
        return Expected((self.inode, self.size, self.mtime_ns), bytes.fromhex(self.key))

    def original(self, folder: str) -> str:
        """Return the absolute path that the image came from; `folder` is the clustering."""
        return absolute(self.source, folder)

    def is_exactly(self, found: os.stat_result) -> bool:
        """Whether `found` is the very file, not changed since."""
        return identity(found) == (self.inode, self.size, self.mtime_ns)

    def proof(self, path: str) -> Expected | None:
        """Return what has to lie at `path` from now on; None where that is not the very file, not changed."""
        try:
            found = os.lstat(path)
        except OSError:
            return None
        return replace(self.recorded, device=found.st_dev) if self.is_exactly(found) else None

    def was_put_there(self, found: os.stat_result) -> bool:
        """Whether `found`, a file of these bytes, is the very one: by inode, or time, where inodes change."""
        return found.st_ino == self.inode or found.st_mtime_ns == self.mtime_ns

    def is_at(self, path: str) -> bool:
        """Whether what lies at `path` is still ours: the very file, or (elsewhere copied) its exact bytes.

        A hard link changed in place counts as ours as long as the original shares its bytes.
        """
        try:
            found = os.lstat(path)
        except OSError:
            return False
        if stat.S_ISLNK(found.st_mode):
            return self.kind == "symlink" and os.readlink(path) == self.link
        if not stat.S_ISREG(found.st_mode) or self.kind == "symlink":
            return False
        if self.is_exactly(found) or self.kind == "companion":
            return True
        if self.kind == "hardlink" and found.st_ino == self.inode and found.st_nlink > 1:
            return True
        return found.st_size == self.size and has_digest(path, self.key)

    def has_its_original(self, folder: str, besides: os.stat_result | None = None) -> bool:
        """Whether the path that the image came from holds it: same size and time, or else the same bytes.

        `besides` is a file that does not count, though the path may be a link to it.
        """
        original = self.original(folder)
        try:
            found = os.stat(original)
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or (besides is not None and os.path.samestat(found, besides)):
            return False
        if (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns):
            return True
        return found.st_size == self.size and has_digest(original, self.key)


@dataclass(frozen=True)
class Marker:
    """What the marker file says.

    Attributes
    ----------
    generation
        Counts the clusterings that this folder has held: of two folders, the higher is the newer.
    building
        Whether the folder is still being filled.
    files
        By path relative to the folder. Below `contents.AWAY` are moved images that an earlier clustering here
        held, and that were not at home when this one was made.
    moves
        How many images are to be moved into a folder that is being filled; None where that is not known.
    replaces
        The inode of the folder whose place the clustering takes; 0 where there was none.
    name
        A random one of this clustering; empty in those of version 0.1.
    own
        Whether a run of this user wrote it into that very folder, and no later one since. Of one that was
        not read, nobody has asked.
    """

    generation: int
    building: bool
    files: dict[str, OwnFile] = field(default_factory=dict)
    moves: int | None = None
    replaces: int = 0
    name: str = ""
    own: bool = field(default=False, compare=False)


def write_marker(folder: str, marker: Marker, owner: Ownership = IN_MEMORY) -> None:
    """Sign the marker and write it into `folder`, all or nothing; wait until it is on the disk.

    The signature holds for this folder alone, and only until the marker is written again.
    """
    known = owner.generation(marker.name)
    edition = (known or 0) + 1
    if known is None:  # before the marker, so that a kill between the two leaves none without a record
        owner.record(marker.name, edition, folder)
    document = {
        "schema": SCHEMA,
        "generation": marker.generation,
        "building": marker.building,
        "moves": marker.moves,
        "replaces": marker.replaces,
        "name": marker.name,
        "edition": edition,
        "files": {
            f"./{relative}": (f.kind, f.key, f.size, f.mtime_ns, f.inode, f.source, f.link)
            for relative, f in marker.files.items()
        },
    }
    data = json.dumps(document).encode()
    signature = owner.sign(_bound(folder, data))
    signed = data[:-1] + f', "signature": "{signature}"}}'.encode()
    with at(os.path.join(folder, CLUSTERING_MARKER)) as place:
        write_durably(place, signed)
    if known is not None:
        owner.record(marker.name, edition, folder)


def new_name() -> str:
    """Return a name for a clustering that no other has."""
    return os.urandom(16).hex()


def _bound(folder: str, data: bytes) -> bytes:
    return b"marker %d %b" % (os.lstat(folder).st_ino, data)


def read_marker(folder: str, owner: Ownership | None = None) -> Marker | None:
    """Read the marker of `folder`; None where there is none or it is not one of ours.

    Parameters
    ----------
    owner
        Whose runs may have written it. Without one it is nobody's own, and read however long it is: only for
        a folder that was looked at before.

    Raises
    ------
    ImgclusterError
        When a newer imgcluster wrote it, or it cannot be read.
    """
    path = os.path.join(folder, CLUSTERING_MARKER)
    try:
        data = read_limited(path, _MOST_BYTES)
        signed = owner is not None and _is_signed(folder, data, owner)
        if owner is not None and not signed and len(data) > _MOST_FOREIGN_BYTES:
            raise OSError(errno.EFBIG, f"is larger than {_MOST_FOREIGN_BYTES:,} bytes, and not yours", path)  # noqa: TRY301
        document = json.loads(data)
        if document["schema"] > SCHEMA:
            raise ImgclusterError(
                f"{folder} was made by a newer imgcluster: update imgcluster, or choose another --out"
            )
        files = {below(text): _own_file(fields) for text, fields in document["files"].items()}
        moves = document.get("moves")
        return Marker(
            int(document["generation"]),
            bool(document["building"]),
            files,
            None if moves is None else int(moves),
            int(document.get("replaces", 0)),
            str(document.get("name", "")),
            own=owner is not None and signed and _is_last(folder, document, owner),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        advice = "move it away" if os.path.lexists(path) else "name another folder"
        raise ImgclusterError(f"cannot read {path}: {error.strerror}; {advice}") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None  # not ours, or damaged: then nothing in the folder is known to be ours


def _is_signed(folder: str, data: bytes, owner: Ownership) -> bool:
    found = re.search(rb', "signature": "([0-9a-f]{64})"}\Z', data[-_LONGEST_END:])
    if found is None:
        return False
    return owner.has_signed(_bound(folder, data[: -len(found[0])] + b"}"), found[1].decode())


def _is_last(folder: str, document: dict[str, Any], owner: Ownership) -> bool:
    """Whether a signed marker is not older than the last that was recorded, and is this user's file."""
    known, edition = owner.generation(str(document.get("name", ""))), document.get("edition")
    statuses = os.lstat(folder), os.lstat(os.path.join(folder, CLUSTERING_MARKER))
    return isinstance(edition, int) and edition >= (known or math.inf) and all(map(is_mine, statuses))


def _own_file(fields: list[Any]) -> OwnFile:
    kind, key, size, mtime_ns, inode, source, link = fields
    numbers = isinstance(size, int) and isinstance(mtime_ns, int) and isinstance(inode, int)
    texts = isinstance(key, str) and isinstance(source, str) and isinstance(link, str)
    if kind not in _KINDS or not numbers or not texts or (kind != "written" and not is_path(source)):
        raise ValueError("not an entry of ours")
    bytes.fromhex(key)
    return OwnFile(kind, key, size, mtime_ns, inode, source, link)
