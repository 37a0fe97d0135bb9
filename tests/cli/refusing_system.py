"""A file system that refuses what shares and sticks refuse: it keeps its files in a folder, and speaks FUSE.

usage: refusing_system.py share|stick BACKING MOUNTED [MOST_BYTES]
It is mounted when a line comes, and ends when it is unmounted. SIGUSR1: files get other inode numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

ROOT = 1
(LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK) = range(1, 7)
(MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE) = range(8, 19)
FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR = 20, 25, 26, 27, 28, 29, 30
CREATE, INTERRUPT, DESTROY, BATCH_FORGET, RENAME2 = 35, 36, 38, 42, 45
SET_MODE, SET_OWNER, SET_SIZE, SET_TIMES, TIMES_OF_NOW, OF_OPEN = 1, 2 | 4, 8, 16 | 32, 128 | 256, 64
MOST_WRITTEN = 1 << 17
BLOCK = 4096


@dataclass(frozen=True)
class Rules:
    """What the system refuses (with which error), and what becomes of names and times."""

    links: int
    times: int
    modes: int
    renaming_with_flags: int
    folder_syncs: int
    name: Callable[[str], str]
    seconds: int


def decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def of_fat(name: str) -> str:
    """FAT has no trailing dots or blanks, takes them silently away, and does not take some signs."""
    if any(c in ':*?"<>|\\' or ord(c) < 32 or 0xDC80 <= ord(c) <= 0xDCFF for c in name):
        raise OSError(errno.EINVAL, "a name that it does not take")
    return name.rstrip(". ")


KINDS = {
    "share": Rules(errno.EOPNOTSUPP, errno.EPERM, errno.EPERM, errno.EINVAL, errno.EINVAL, decomposed, 0),
    "stick": Rules(errno.EPERM, 0, errno.EPERM, errno.EINVAL, 0, of_fat, 2),
}


class RefusingSystem:
    """Answers the kernel's requests, one after the other."""

    def __init__(self, rules: Rules, backing: str, most: int) -> None:
        self.rules, self.backing, self.most = rules, backing, most
        self.nodes: dict[int, tuple[int, str]] = {}
        self.names: dict[tuple[int, str], int] = {}
        self.listings: dict[int, list[str]] = {}
        self.open: dict[int, list[int]] = {}
        self.next = ROOT + 1

    def path(self, node: int, name: str = "") -> str:
        parts = [name] if name else []
        while node != ROOT:
            if node not in self.nodes:
                raise OSError(errno.ENOENT, "is gone")
            node, part = self.nodes[node]
            parts.append(part)
        return os.path.join(self.backing, *reversed(parts))

    def forget_numbers(self) -> None:
        files = [
            (parent, name) for (parent, name) in self.names if not os.path.isdir(self.path(parent, name))
        ]
        for name in files:
            del self.names[name]

    def found(self, node: int, name: str) -> str:
        """Return the name under which a folder has one that is the same but for case and composition."""
        folder, wanted = self.path(node), self.rules.name(name)
        if os.path.lexists(os.path.join(folder, wanted)):
            return wanted
        same = unicodedata.normalize("NFC", wanted).casefold()
        listed = (
            each for each in os.listdir(folder) if unicodedata.normalize("NFC", each).casefold() == same
        )
        return next(listed, wanted)

    def node(self, parent: int, name: str) -> int:
        if (parent, name) not in self.names:
            self.names[parent, name] = self.next
            self.nodes[self.next] = parent, name
            self.next += 1
        return self.names[parent, name]

    def attributes(self, node: int, file: int | None = None) -> bytes:
        try:
            found = os.lstat(self.path(node))
        except OSError:
            files = [file] if file is not None else self.open.get(node, [])
            if not files:
                raise
            found = os.fstat(files[0])
        mode = stat.S_IFMT(found.st_mode) | (0o755 if stat.S_ISDIR(found.st_mode) else 0o644)
        whole = [ns // 10**9 for ns in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
        parts = [ns % 10**9 for ns in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
        if self.rules.seconds:
            whole, parts = [each - each % self.rules.seconds for each in whole], [0, 0, 0]
        sizes = found.st_size, -(-found.st_size // 512)
        return struct.pack("<3Q3q10I", node, *sizes, *whole, *parts, mode, 1, 0, 0, 0, BLOCK, 0)

    def entry(self, parent: int, name: str) -> bytes:
        os.lstat(self.path(parent, name))
        node = self.node(parent, name)
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.attributes(node)

    def room_for(self, size: int) -> None:
        if self.most and self.taken() + size > self.most:
            raise OSError(errno.ENOSPC, "is full")

    def taken(self) -> int:
        files = (os.path.join(at, name) for at, _, names in os.walk(self.backing) for name in names)
        return sum(os.lstat(file).st_size for file in files)

    def answer(self, code: int, node: int, data: bytes) -> bytes:
        """Do what is asked; OSError where that is refused."""
        handler = _HANDLERS.get(code)
        if handler is None:
            raise OSError(errno.ENOSYS, "is not known here")
        return handler(self, node, data)

    def lookup(self, node: int, data: bytes) -> bytes:
        return self.entry(node, self.found(node, text(data)))

    def getattr(self, node: int, data: bytes) -> bytes:
        flags, _, file = struct.unpack("<2IQ", data[:16])
        return struct.pack("<Q2I", 0, 0, 0) + self.attributes(node, file if flags & 1 else None)

    def setattr(self, node: int, data: bytes) -> bytes:
        asked, _, file, size, _, accessed, changed = struct.unpack("<2I5Q", data[:48])
        accessed_part, changed_part = struct.unpack("<2I", data[56:64])
        where: int | str = file if asked & OF_OPEN else self.path(node)
        for what, refusal in ((SET_MODE, self.rules.modes), (SET_OWNER, errno.EPERM)):
            if asked & what and refusal:
                raise OSError(refusal, "is not kept here")
        if asked & SET_SIZE:
            self.room_for(max(0, size - os.stat(where).st_size))
            os.truncate(where, size)
        if asked & TIMES_OF_NOW:
            os.utime(where)
        elif asked & SET_TIMES:
            if self.rules.times:
                raise OSError(self.rules.times, "is not kept here")
            os.utime(where, ns=(accessed * 10**9 + accessed_part, changed * 10**9 + changed_part))
        return struct.pack("<Q2I", 0, 0, 0) + self.attributes(node, file if asked & OF_OPEN else None)

    def refuse_link(self, node: int, data: bytes) -> bytes:
        raise OSError(self.rules.links, "there are no links here")

    def mkdir(self, node: int, data: bytes) -> bytes:
        name = self.found(node, text(data[8:]))
        os.mkdir(self.path(node, name))
        return self.entry(node, name)

    def unlink(self, node: int, data: bytes) -> bytes:
        name = self.found(node, text(data))
        os.unlink(self.path(node, name))
        self.drop(node, name)
        return b""

    def rmdir(self, node: int, data: bytes) -> bytes:
        name = self.found(node, text(data))
        os.rmdir(self.path(node, name))
        self.drop(node, name)
        return b""

    def drop(self, node: int, name: str) -> None:
        gone = self.names.pop((node, name), 0)
        self.nodes.pop(gone, None)

    def rename(self, node: int, data: bytes) -> bytes:
        return self.renamed(node, struct.unpack("<Q", data[:8])[0], data[8:])

    def rename2(self, node: int, data: bytes) -> bytes:
        folder, flags = struct.unpack("<QI", data[:12])
        if flags:
            raise OSError(self.rules.renaming_with_flags, "no such renaming here")
        return self.renamed(node, folder, data[16:])

    def renamed(self, node: int, folder: int, names: bytes) -> bytes:
        old, new = (os.fsdecode(name) for name in names.rstrip(b"\0").split(b"\0"))
        old, target = self.found(node, old), self.found(folder, new)
        if os.path.lexists(self.path(folder, target)) and (node, old) == (folder, target):
            target = self.rules.name(new)  # only case or composition change
        os.rename(self.path(node, old), self.path(folder, target))
        number = self.names.pop((node, old), 0)
        self.drop(folder, target)
        if number:
            self.names[folder, target] = number
            self.nodes[number] = folder, target
        return b""

    def opened(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack("<I", data[:4])[0]
        file = os.open(self.path(node), flags & (os.O_ACCMODE | os.O_TRUNC))
        self.open.setdefault(node, []).append(file)
        return struct.pack("<Q2I", file, 0, 0)

    def create(self, node: int, data: bytes) -> bytes:
        name = self.found(node, text(data[16:]))
        flags = struct.unpack("<I", data[:4])[0]
        flags = flags & (os.O_EXCL | os.O_TRUNC) | os.O_CREAT | os.O_RDWR
        file = os.open(self.path(node, name), flags, 0o600)
        self.open.setdefault(self.node(node, name), []).append(file)
        return self.entry(node, name) + struct.pack("<Q2I", file, 0, 0)

    def read(self, node: int, data: bytes) -> bytes:
        file, offset, size = struct.unpack("<2QI", data[:20])
        return os.pread(file, size, offset)

    def write(self, node: int, data: bytes) -> bytes:
        file, offset, size = struct.unpack("<2QI", data[:20])
        self.room_for(max(0, offset + size - os.fstat(file).st_size))
        return struct.pack("<2I", os.pwrite(file, data[40 : 40 + size], offset), 0)

    def statfs(self, node: int, data: bytes) -> bytes:
        total = self.most or 1 << 40
        free = max(0, total - self.taken()) // BLOCK
        blocks = total // BLOCK, free, free
        return struct.pack("<5Q10I", *blocks, 1 << 20, 1 << 20, BLOCK, 255, BLOCK, *[0] * 7)

    def release(self, node: int, data: bytes) -> bytes:
        file = struct.unpack("<Q", data[:8])[0]
        os.close(file)
        for files in self.open.values():
            if file in files:
                files.remove(file)
        return b""

    def done(self, node: int, data: bytes) -> bytes:
        return b""

    def opendir(self, node: int, data: bytes) -> bytes:
        number = self.next
        self.next += 1
        self.listings[number] = sorted(os.listdir(self.path(node)))
        return struct.pack("<Q2I", number, 0, 0)

    def readdir(self, node: int, data: bytes) -> bytes:
        number, offset, size = struct.unpack("<2QI", data[:20])
        listed = b""
        for place, name in enumerate(self.listings[number][offset:], offset + 1):
            raw = os.fsencode(name)
            try:
                kind = stat.S_IFMT(os.lstat(self.path(node, name)).st_mode) >> 12
            except OSError:
                continue
            entry = struct.pack("<2Q2I", self.node(node, name), place, len(raw), kind) + raw
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    def releasedir(self, node: int, data: bytes) -> bytes:
        del self.listings[struct.unpack("<Q", data[:8])[0]]
        return b""

    def fsyncdir(self, node: int, data: bytes) -> bytes:
        if self.rules.folder_syncs:
            raise OSError(self.rules.folder_syncs, "folders are not synced here")
        return b""

    def init(self, node: int, data: bytes) -> bytes:
        ahead = struct.unpack("<4I", data[:16])[2]
        return struct.pack("<4I2H2I2H8I", 7, 31, ahead, 1 << 5, 8, 8, MOST_WRITTEN, 1, 32, 0, *[0] * 8)


def text(data: bytes) -> str:
    return os.fsdecode(data.split(b"\0")[0])


_HANDLERS = {
    LOOKUP: RefusingSystem.lookup,
    GETATTR: RefusingSystem.getattr,
    SETATTR: RefusingSystem.setattr,
    SYMLINK: RefusingSystem.refuse_link,
    LINK: RefusingSystem.refuse_link,
    MKDIR: RefusingSystem.mkdir,
    UNLINK: RefusingSystem.unlink,
    RMDIR: RefusingSystem.rmdir,
    RENAME: RefusingSystem.rename,
    RENAME2: RefusingSystem.rename2,
    OPEN: RefusingSystem.opened,
    CREATE: RefusingSystem.create,
    READ: RefusingSystem.read,
    WRITE: RefusingSystem.write,
    STATFS: RefusingSystem.statfs,
    RELEASE: RefusingSystem.release,
    FSYNC: RefusingSystem.done,
    FLUSH: RefusingSystem.done,
    OPENDIR: RefusingSystem.opendir,
    READDIR: RefusingSystem.readdir,
    RELEASEDIR: RefusingSystem.releasedir,
    FSYNCDIR: RefusingSystem.fsyncdir,
    INIT: RefusingSystem.init,
}


def serve(system: RefusingSystem, device: int) -> None:
    while True:
        try:
            request = os.read(device, MOST_WRITTEN + 4096)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR, errno.EAGAIN}:
                continue
            return  # unmounted
        code, unique, node = struct.unpack("<IQQ", request[4:24])
        if code in {FORGET, BATCH_FORGET, INTERRUPT}:
            continue
        try:
            result, refusal = system.answer(code, node, request[40:]), 0
        except OSError as error:
            result, refusal = b"", error.errno or errno.EIO
        with contextlib.suppress(OSError):
            os.write(device, struct.pack("<IiQ", 16 + len(result), -refusal, unique) + result)
        if code == DESTROY:
            return


def main() -> None:
    kind, backing, mounted, *most = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40755,user_id={os.geteuid()},group_id={os.getegid()},allow_other"
    if libc.mount(kind.encode(), os.fsencode(mounted), b"fuse", 2 | 4, options.encode()):
        sys.exit(f"nothing can be mounted here: {os.strerror(ctypes.get_errno())}")
    system = RefusingSystem(KINDS[kind], backing, int(most[0]) if most else 0)
    signal.signal(signal.SIGUSR1, lambda *_: system.forget_numbers())
    print("mounted", flush=True)
    serve(system, device)


if __name__ == "__main__":
    main()
