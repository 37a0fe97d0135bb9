"""The one door to the files that the program keeps: opened without following links, written all at once.

Markers, journals, tables, caches, locks and logs lie in folders that other people fill as well. So none is
opened through a link, none makes the program wait or takes all memory, and none is found half written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import BinaryIO

from imgcluster.held import UNSUPPORTED, Held, Identity, Links, at, exchanged, identity, replace_held

_NOT_OF_FOLDERS = UNSUPPORTED | {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTTY, errno.EROFS}

# Folders and files that systems and programs leave beside photographs, with pictures of their own in them.
_SYSTEM_NAMES = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "recycler", "system volume information"}
    | {"lost+found", "@eadir", "@recycle", "#recycle", "#snapshot", "@recently-snapshot", "@sharebin", "@tmp"}
    | {"ehthumbs.db", "ehthumbs_vista.db", "icon\r", "picasa.ini", "zbthumbnail.info"}
)
_TEMPORARY = ".imgcluster-"
_PART = ".part"
_DEFAULT_MODE = 0o666  # less what the umask takes
_BLOCK = 1 << 20
HEAD_BYTES = 1 << 16
"""The first bytes of a file, by which one that is too large to be read is known again."""
_LOOK_AGAIN_SECONDS = 0.2
_FICLONE = 0x40049409


def open_regular(file: str | Held, flags: int = os.O_RDONLY, *, mode: int = 0o666) -> int:
    """Open a regular file that is no link, and return its descriptor; never waits for whatever lies there.

    Parameters
    ----------
    file
        Its path, or its name in a folder that is held open.
    flags
        As `os.open` takes them. A file opened for writing must have no second name, for what is written in
        place is written under both.
    mode
        Permissions of a file that is made here, less what the umask takes.

    Raises
    ------
    OSError
        Also where a link, a pipe, a device or a folder lies there.
    """
    safe = flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    path = _path(file)
    try:
        descriptor = file.open(safe, mode) if isinstance(file, Held) else os.open(file, safe, mode)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, "is a symbolic link", path) from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        refusal = OSError(errno.EINVAL, "is not a regular file", path)
    elif flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1:
        refusal = OSError(errno.EMLINK, "has a second name (a hard link)", path)
    else:
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
        return descriptor
    os.close(descriptor)
    raise refusal


def open_resolved(path: str, flags: int = os.O_RDONLY, *, mode: int = 0o666) -> int:
    """Do as `open_regular`, but follow no link on the way either: one that is there was put there since."""
    with at(path) as held:
        return open_regular(held, flags, mode=mode)


def open_named(file: str | Held, flags: int = os.O_RDONLY) -> int:
    """Open a regular file that the user named, by a path also through links; never wait for what is there."""
    safe = flags | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = file.open(safe) if isinstance(file, Held) else os.open(file, safe)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OSError(errno.EINVAL, f"is {what}", _path(file))
    return descriptor


def create(file: str | Held, mode: int = _DEFAULT_MODE) -> BinaryIO:
    """Open a new file for writing, with what the umask leaves of `mode`; never over another one."""
    flags, mode = os.O_RDWR | os.O_CREAT | os.O_EXCL, mode & _DEFAULT_MODE | 0o200
    with _held(file) as held:
        return os.fdopen(held.open(flags, mode), "w+b")


def named(path: str) -> BinaryIO:
    """Open a file as `open_named` does, for reading."""
    return os.fdopen(open_named(path), "rb")


@dataclass(frozen=True, slots=True)
class Expected:
    """A file that was looked at, and how it is known again.

    FAT and shares on a network give a file another inode once the system has forgotten it: where no more than
    inode and device differ, its bytes decide.

    Attributes
    ----------
    key
        The SHA-256 of its bytes, empty where that is not known.
    device
        The file system that it is on, 0 where that is not known.
    head
        Whether `key` is that of the first `HEAD_BYTES` alone.
    """

    identity: Identity
    key: bytes = b""
    device: int = 0
    head: bool = False

    @classmethod
    def of(cls, status: os.stat_result, key: bytes) -> Expected:
        """Expect the file that has this status, and holds the bytes of `key`."""
        return cls(identity(status), key, status.st_dev)

    @classmethod
    def by_head(cls, path: str) -> Expected:
        """Expect the file that lies at `path`, and is no link, by its first bytes where they can be read."""
        try:
            descriptor = open_regular(path)
        except PermissionError:
            return cls.of(os.lstat(path), b"")
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            return cls(identity(status), _digest(file, HEAD_BYTES), status.st_dev, head=True)

    def is_open(self, file: BufferedReader) -> bool:
        """Whether an open file, at its start, is that one."""
        found = os.fstat(file.fileno())
        if self._is(found) or not self._may_be(found):
            return self._is(found)
        digest = _digest(file, HEAD_BYTES if self.head else -1)
        file.seek(0)
        return digest == self.key

    def found_at(self, file: Held) -> Identity | None:
        """Return the identity under which that one has this name; None where another has it."""
        found = file.lstat()
        if self._is(found) or not (self._may_be(found) and stat.S_ISREG(found.st_mode)):
            return identity(found) if self._is(found) else None
        with os.fdopen(open_regular(file), "rb") as opened:
            return identity(os.fstat(opened.fileno())) if self.is_open(opened) else None

    def _is(self, found: os.stat_result) -> bool:
        return identity(found) == self.identity and self.device in {0, found.st_dev}

    def _may_be(self, found: os.stat_result) -> bool:
        return bool(self.key) and identity(found)[1:] == self.identity[1:]


def _digest(file: BufferedReader, most: int) -> bytes:
    whole = most < 0
    return (hashlib.file_digest(file, "sha256") if whole else hashlib.sha256(file.read(most))).digest()


def copy_new(
    source: str | Held, target: str | Held, *, clone: bool = False, expected: Expected | None = None
) -> bool:
    """Copy a file to a new name; tell whether its times and permissions could be kept.

    Until it is complete, the copy is this user's alone.

    Parameters
    ----------
    source
        A path, which may be a link, or a name in a folder that is held open, which may not.
    clone
        Let both share their blocks on the disk; OSError, and no file, where that cannot be.
    expected
        What the file must be; OSError where another one lies there.
    """
    descriptor = open_named(source) if isinstance(source, str) else open_regular(source)
    with os.fdopen(descriptor, "rb") as read:
        status = os.fstat(descriptor)
        if expected is not None and not expected.is_open(read):
            raise exchanged(_path(source))
        with _held(target) as place, create(place, 0o600) as written:
            try:
                if clone:
                    fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
                else:
                    shutil.copyfileobj(read, written, _BLOCK)
                    written.flush()
                kept = _like(written.fileno(), status)
                with contextlib.suppress(OSError, AttributeError):
                    for name in os.listxattr(descriptor):
                        if name.startswith(("security.", "trusted.")):  # what a program may do
                            continue
                        os.setxattr(written.fileno(), name, os.getxattr(descriptor, name))
            except BaseException:
                place.unlink()
                raise
    return kept


def _like(descriptor: int, status: os.stat_result) -> bool:
    """Give a file the permissions and times of another; False where a share refuses some of them.

    That the other runs as its owner is not kept: the copy belongs to this user.
    """
    kept = True
    try:
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
    except OSError:
        kept = False
    try:
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError:
        kept = False
    return kept


def free_bytes(folder: str) -> int:
    """Return how much room there is on the disk of a folder; where a share does not tell, any amount."""
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(folder)
        return usage.free if usage.total else sys.maxsize
    return sys.maxsize


def permissions_beside(path: str) -> int:
    """Return the permissions of a new file that tells of the one at `path`: no more than that has."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode) & _DEFAULT_MODE
    except OSError:
        return _DEFAULT_MODE


def open_folder(path: str) -> int:
    """Open a folder, to lock it or to sync it, and return its descriptor."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def lock_within(descriptor: int, seconds: float, waiting: Callable[[], None]) -> bool:
    """Lock an open file; False where another process holds the lock for longer than that.

    The lock goes with the process. `waiting` is called before a wait. OSError where the file system has none.
    """
    until = None
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
        else:
            return True
        if until is None:
            until = time.monotonic() + seconds
            if seconds > 0:
                waiting()
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_LOOK_AGAIN_SECONDS, left))


def read_limited(path: str, limit: int) -> bytes:
    """Read a whole regular file that is no link. OSError as of `open_regular`, or where it is too large."""
    with os.fdopen(open_regular(path), "rb") as file:
        data = b"" if os.fstat(file.fileno()).st_size > limit else file.read(limit + 1)
        if len(data) > limit or os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit:,} bytes", path)
    return data


def read_typed(path: str, limit: int) -> bytes:
    """Read a whole file that the user named, also through a link, or what is written to a pipe.

    A pipe that nobody writes to is empty. OSError where it is neither, or larger than `limit` bytes.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
            raise OSError(errno.EINVAL, "is neither a file nor a pipe", path)
        os.set_blocking(file.fileno(), True)
        data = b"" if status.st_size > limit else file.read(limit + 1)
        if max(len(data), status.st_size) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit:,} bytes", path)
    return data


@contextlib.contextmanager
def replacing(
    file: str | Held,
    *,
    private: bool = False,
    most: int = 0o777,
    durable: bool = True,
    put: Callable[[Held, Held], None] = replace_held,
) -> Iterator[BinaryIO]:
    """Give a new file that takes the place of `file` when the block ends; after an exception it is gone.

    At every moment, also after a crash, there are all of the old bytes or all of the new. A link there is
    replaced, and what it leads to stays. Its folder is held open meanwhile.

    Parameters
    ----------
    private
        The file is for this user alone. Otherwise it keeps the permissions of the one that it replaces.
    most
        The permissions that it may have.
    durable
        Wait until file and name are on the disk. Without, a power loss may leave an empty or partial file.
    put
        Gives the finished file its name.
    """
    with _held(file) as held:
        part = held.beside(temporary_name(""))
        old = 0o600 if private else _mode(held)
        try:
            with create(part, most if old is None else old & most) as written:
                if old is not None:  # whatever the umask says
                    # Shares may refuse it.
                    with contextlib.suppress(*(() if private else (OSError,))):
                        os.fchmod(written.fileno(), old & most)
                yield written
                written.flush()
                if durable:
                    sync(written.fileno())
            put(part, held)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
            if isinstance(error, OSError) and error.filename == part.path:
                error.filename, error.filename2 = held.path, None  # nobody knows the name of the part
            raise
        if durable:
            sync_file(os.curdir, held.folder)


def write_durably(file: str | Held, data: bytes, *, private: bool = False, most: int = 0o777) -> None:
    """Write a file so that after a crash it holds either what it held before or all of `data`."""
    with replacing(file, private=private, most=most) as written:
        written.write(data)


def write_to_device(path: str, data: bytes) -> None:
    """Write to what is no regular file and has nothing to lose, such as /dev/stdout; waits for its reader."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb") as device:
        if stat.S_ISREG(os.fstat(device.fileno()).st_mode):
            raise exchanged(path)
        device.write(data)


def temporary_name(folder: str) -> str:
    """Return a name in `folder` that nobody can foresee; to be opened with O_EXCL."""
    return os.path.join(folder, f"{_TEMPORARY}{os.urandom(8).hex()}{_PART}")


def is_temporary(name: str) -> bool:
    """Whether a base name is one of `temporary_name`: what lies there is left over from a killed run."""
    return re.fullmatch(rf"{_TEMPORARY}[0-9a-f]{{16}}{re.escape(_PART)}", name) is not None


def is_system_name(name: str) -> bool:
    """Whether a base name is that of a hidden file, or of what systems leave beside photographs."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def sync(descriptor: int, *, data_only: bool = False) -> None:
    """Return once what was written to an open file or folder is on the disk, as far as the system can say.

    Parameters
    ----------
    data_only
        The bytes and the size; times and permissions may be lost.
    """
    try:
        if sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        elif data_only:
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def sync_file(path: str, folder: int | None = None) -> None:
    """Do as `sync` for the file or folder at `path`, of a folder for the names in it.

    Folders that may be written but not listed cannot be synced, nor can any on some shares.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in _NOT_OF_FOLDERS and (folder is not None or os.path.isdir(path)):
            return
        raise
    try:
        sync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OF_FOLDERS or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def path_of(descriptor: int) -> str:
    """Return a path that leads to an open file, whatever its name is by now; nothing where there is none."""
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    path = os.path.join(folder, str(descriptor))
    return path if os.path.exists(path) else ""


def is_folder(path: str) -> bool:
    """Whether a folder lies at `path` itself, and no link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


class RealFolders(dict[str, str]):
    """Where folders lead, as far as they exist; each is looked at once. All end in a slash."""

    def __missing__(self, folder: str) -> str:
        self[folder] = os.path.join(os.path.realpath(folder), "")
        return self[folder]

    def place(self, path: str) -> str:
        """Say where the absolute path of a file that is no link itself leads."""
        name = path.rfind("/") + 1
        return self[path[:name]] + path[name:]

    def is_direct(self, path: str) -> bool:
        """Whether an absolute path passes through no link: others may have put some that lead out of it."""
        return self.place(path) == path


def new_folder(parent: str) -> str:
    """Make a folder in `parent` that this user alone can use, under a name that nobody can foresee."""
    path = temporary_name(parent)
    os.mkdir(path, 0o700)
    return path


def remove_if_there(path: str) -> None:
    """Remove a file or a link, or find it gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file's bytes in hex. Links are followed; OSError where it is not regular."""
    return digest_and_status(path)[0].hex()


def digest_and_status(path: str) -> tuple[bytes, os.stat_result]:
    """Return the SHA-256 of a file's bytes, and the status of the very file; otherwise as `file_digest`."""
    with os.fdopen(open_named(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").digest(), os.fstat(file.fileno())


def has_digest(path: str, digest: str) -> bool:
    """Whether the SHA-256 of the file at `path` is `digest` (hex); False where it cannot be read."""
    try:
        return file_digest(path) == digest
    except OSError:
        return False


def is_forbidden(path: str) -> bool:
    """Whether this user may not know what is at a path."""
    try:
        os.stat(path)
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def leads_out(path: str) -> bool:
    """Whether a path, of the file itself, is a link out of its folder; those of the system are not meant."""
    folder, name = os.path.split(os.path.abspath(path))
    folder = os.path.realpath(folder)
    target = os.path.realpath(os.path.join(folder, name))
    return not lies_below(target, [folder]) and not lies_below(folder, ["/dev", "/proc"])


def lies_below(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` is one of `folders` or lies below one, by the names alone."""
    return path_filter(folders)(path)


def path_filter(folders: Iterable[str]) -> Callable[[str], bool]:
    """Give `lies_below` for many paths and the same folders."""
    prefixes = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in folders)
    return lambda path: f"{path}{os.sep}".startswith(prefixes)


def _path(file: str | Held) -> str:
    return file.path if isinstance(file, Held) else file


def _held(file: str | Held) -> contextlib.AbstractContextManager[Held]:
    return contextlib.nullcontext(file) if isinstance(file, Held) else at(file, Links.ALL)


def _mode(file: Held) -> int | None:
    """Return the permissions of a regular file; None where there is none."""
    try:
        status = file.lstat()
    except OSError:
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None
