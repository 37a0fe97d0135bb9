"""A folder with one of everything that twenty years of files may hold."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from fakes import write_image

ODD_NAMES = (
    b"plain.png",
    b"caf\xe9.png",  # Latin-1
    "zażółć 写真.png".encode(),
    b"line\nbreak.png",
    "party 🎉.png".encode(),
    "right\u202eto left.png".encode(),
    b"-rf.png",
    b"   .png",
    b'quote\' (1) "two" `three`.png',
    b'x" onerror="alert(1).png',
    b"<img src=x>.png",
    b"=1+2.png",
    b"a,b;c\td.png",
    b"back\\slash.png",
    b"percent%20#?.png",
    b"UPPER.PNG",
    b"n" * 251 + b".png",
    "é".encode() * 125 + b".PNG",
    b"new\r\nlines\n.png",
    b"carriage\r=1+2.png",
    b"\xff\xfe\x80.png",
    "\u200f\u202eשלום.png".encode(),
    b"~$HOME `id`.png",
)
ONLY_SPACES = b"   "
"""A name that promises no image: such a file is taken where it is named itself."""


@dataclass
class HostileFolder:
    """What is in it; paths as the operating system has them, decoded with surrogate escapes."""

    root: Path
    good: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    hidden: int = 0


def make(root: Path) -> HostileFolder:
    folder = HostileFolder(root)
    root.mkdir()
    _add_good(folder)
    _add_broken_files(folder)
    _add_things_that_are_no_files(folder)
    _add_what_belongs_to_systems(folder)
    return folder


def _path(folder: HostileFolder, name: bytes | str) -> str:
    return os.path.join(str(folder.root), os.fsdecode(name))


def _write(path: str, data: bytes) -> str:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def _picture(folder: HostileFolder, suffix: str, number: int) -> bytes:
    colour = (200, 30, 30) if number % 2 else (30, 30, 200)
    path = write_image(folder.root / f"temporary{suffix}", colour, noise=number, side=64)
    data = path.read_bytes()
    path.unlink()
    return data


def _add_good(folder: HostileFolder) -> None:
    for number, name in enumerate(ODD_NAMES):
        folder.good.append(_write(_path(folder, name), _picture(folder, ".png", number)))
    for number, name in enumerate((b"deep/er/IMG_1.jpg", b"deep/IMG_1.jpg", b"x.jpg/IMG_1.jpg", b"  /a.jpg")):
        folder.good.append(_write(_path(folder, name), _picture(folder, ".jpg", number)))
    folder.good.append(_write(_path(folder, "png named.jpg"), _picture(folder, ".png", 50)))
    folder.good.append(_write(_path(folder, ONLY_SPACES), _picture(folder, ".png", 51)))


def _add_broken_files(folder: HostileFolder) -> None:
    for suffix in (".jpg", ".png"):
        data = _picture(folder, suffix, 60)
        for tenth in range(1, 10, 2):
            name = f"cut{tenth}{suffix}"
            folder.broken.append(_write(_path(folder, name), data[: len(data) * tenth // 10]))
    folder.broken += [
        _write(_path(folder, "empty.jpg"), b""),
        _write(_path(folder, "text.jpg"), b"Dear diary,\n" * 100),
        _write(_path(folder, "caf\udce9 broken.jpg"), b"\xff\xd8\xff\xe0"),
        _write(_path(folder, "returned\r=1+2.jpg"), b"Dear diary,\n"),
        _write(_path(folder, "bomb.png"), bomb(100_000, 100_000)),
    ]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _add_things_that_are_no_files(folder: HostileFolder) -> None:
    os.mkfifo(_path(folder, "pipe.jpg"))
    before = Path.cwd()
    os.chdir(folder.root)  # a socket's path may have no more than 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
    os.chdir(before)
    os.symlink("nowhere.jpg", _path(folder, "dangling.jpg"))
    os.symlink("loop.jpg", _path(folder, "loop.jpg"))
    os.symlink(".", _path(folder, "again"))
    os.symlink("plain.png", _path(folder, "link to plain.png"))
    folder.broken += [_path(folder, n) for n in ("pipe.jpg", "socket.jpg", "dangling.jpg", "loop.jpg")]
    forbidden = _write(_path(folder, "forbidden.jpg"), _picture(folder, ".jpg", 70))
    os.chmod(forbidden, 0)
    folder.broken.append(forbidden)


def _add_what_belongs_to_systems(folder: HostileFolder) -> None:
    for name in (".hidden.jpg", "._plain.png", "Thumbs.db", "@eaDir/plain.png", "__MACOSX/plain.png"):
        _write(_path(folder, name), b"not a photograph")
        folder.hidden += 1
    _write(_path(folder, "notes.txt"), b"no image, and no name of one")
