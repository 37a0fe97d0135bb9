"""What proves that this user's own runs made or read something: a secret key, and records.

They lie in a folder that is this user's alone. A signature says that a run of this user wrote the bytes; the
record, one small file for each thing that was made, says which of several states of it is the last. Digests
of what was read are kept in files that only grow.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import os
import shlex
import stat
from collections.abc import Collection

from imgcluster.files import (
    open_regular,
    read_limited,
    remove_if_there,
    sync_file,
    temporary_name,
    write_durably,
)
from imgcluster.held import Links, at, rename_held

DIGEST_BYTES = 16
"""Length of the digest of a reading."""
_KEY_BYTES = 32
_MOST_BYTES = 1 << 16  # of a record
_MOST_DIGESTS = 1 << 32  # bytes of them


class Ownership:
    """Signs what this user's runs make, and knows it again.

    Parameters
    ----------
    folder
        Where key and records are kept; made where missing. Without one, and where it cannot be used, both are
        kept in memory: then nothing that was made is known after the process.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._keeps = folder is not None
        self._prepared, self._problem = False, ""
        self._key: bytes | None = None
        self._records: dict[str, int] = {}
        self._digests: dict[str, set[bytes]] = {}

    def prepare(self) -> str:
        """Make the key where there is none; return why what is made now cannot be known later, or nothing."""
        if self._folder is None or self._prepared:
            return self._problem
        self._prepared = True
        try:
            self._key = _made_key(self._folder)
            for folder in filter(os.path.isdir, (self._folder, os.path.dirname(self._record("")))):
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, "cannot be written to", folder)
        except OSError as error:
            self._keeps = False
            self._problem = f"{error.filename or self._folder}: {error.strerror}"
        return self._problem

    def sign(self, data: bytes) -> str:
        """Return a signature of `data` in hex."""
        self.prepare()
        if self._key is None:
            self._key = os.urandom(_KEY_BYTES)
        return hmac.digest(self._key, data, "sha256").hex()

    def has_signed(self, data: bytes, signature: str) -> bool:
        """Whether `signature` is that of `data`; makes no key."""
        if self._key is None and self._folder is not None:
            with contextlib.suppress(OSError):
                self._key = _key_in(self._folder)
        if self._key is None:
            return False
        expected = hmac.digest(self._key, data, "sha256").hex()
        return hmac.compare_digest(expected.encode(), os.fsencode(signature))

    def generation(self, name: str) -> int | None:
        """Return the last generation recorded of the thing called `name`; None where there is no record."""
        if name in self._records or self._folder is None:
            return self._records.get(name)
        try:
            value = json.loads(read_limited(self._record(name), _MOST_BYTES))["generation"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return value if isinstance(value, int) else None

    def record(self, name: str, generation: int, place: str) -> None:
        """Remember the last generation of `name`; `place` is for people who read the record."""
        self.prepare()
        if not self._keeps:
            self._records[name] = generation
            return
        document = json.dumps({"generation": generation, "place": place})
        write_durably(self._made(self._record(name)), document.encode(), private=True)

    def forget(self, name: str) -> None:
        """Forget what is no more; what is found of it later is not known for ours."""
        self._records.pop(name, None)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                remove_if_there(self._record(name))

    def digests(self, name: str) -> set[bytes]:
        """Return all digests that were added under `name`."""
        kept = b""
        if self._keeps and self._folder is not None:
            with contextlib.suppress(OSError):
                _key_in(self._folder)
                kept = read_limited(self._readings(name), _MOST_DIGESTS)
        digests = {kept[at : at + DIGEST_BYTES] for at in range(0, len(kept), DIGEST_BYTES)}
        digests |= self._digests.get(name, set())
        return digests

    def add_digests(self, name: str, digests: Collection[bytes]) -> None:
        """Keep digests in addition to those under `name`; where that cannot be, until the process ends."""
        self.prepare()
        if self._keeps:
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                path = self._made(self._readings(name))
                with os.fdopen(open_regular(path, flags, mode=0o600), "ab") as file:
                    # What a run that died left of its last digest would shift all that follow. Nothing else
                    # is cut: another run may be adding to the file.
                    if torn := file.tell() % DIGEST_BYTES:
                        file.truncate(file.tell() - torn)
                    file.write(b"".join(digests))
                return
        self._digests.setdefault(name, set()).update(digests)

    @staticmethod
    def _made(path: str) -> str:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return path

    def _record(self, name: str) -> str:
        return os.path.join(self._folder or "", "clusterings", f"{_short(name)}.json")

    def _readings(self, name: str) -> str:
        return os.path.join(self._folder or "", "readings", _short(name))


IN_MEMORY = Ownership()
"""For callers without a folder: what they make is theirs as long as the process lives."""


def is_mine(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user."""
    return status.st_uid == os.geteuid()


def _short(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _made_key(folder: str) -> bytes:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        return _key_in(folder)
    part = temporary_name(folder)
    try:
        write_durably(part, os.urandom(_KEY_BYTES), private=True)
        with at(part, Links.ALL) as made, contextlib.suppress(FileExistsError):
            rename_held(made, made.beside("key"))  # unless another run was faster: its key is the one
        sync_file(folder)
    finally:
        remove_if_there(part)
    return _key_in(folder)


def _key_in(folder: str) -> bytes:
    """Read the key. OSError where others could have written or read it."""
    path, status = os.path.join(folder, "key"), os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or not is_mine(status) or status.st_mode & 0o022:
        what = f"is not a folder that this user alone can write to (chmod 700 {shlex.quote(folder)})"
        raise PermissionError(errno.EPERM, what, folder)
    key, status = read_limited(path, _KEY_BYTES), os.lstat(path)
    if is_mine(status) and status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, f"others can read it: chmod 600 {shlex.quote(path)}", path)
    if not is_mine(status) or len(key) != _KEY_BYTES:
        raise PermissionError(errno.EPERM, "is not a key of 32 bytes that this user alone can read", path)
    return key
