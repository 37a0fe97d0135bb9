"""One file that the user named: a table, a plot, a contact sheet. It replaces nothing but an earlier one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from imgcluster.errors import ImgclusterError, explained
from imgcluster.files import leads_out, named, replacing, write_to_device
from imgcluster.held import at
from imgcluster.output.tables import csv_bytes

_HEAD_BYTES = 1 << 20


def write_file(path: str, data: bytes, mark: bytes | None = None, *, most: int = 0o666) -> None:
    """Write a file, all or nothing, where there is none, an empty one, or one of an earlier run.

    Parameters
    ----------
    mark
        What files of the same command hold in their first mebibyte. None stands for a table: its files begin
        with the same line.
    most
        Permissions: a new file has no others.

    Raises
    ------
    ImgclusterError
        When something else is there, or the file cannot be written, with the reason.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        with _writing(path):
            write_to_device(path, data)
        return
    with replacing_named(path, data if mark is None else mark, first_line=mark is None, most=most) as file:
        file.write(data)


@contextlib.contextmanager
def replacing_named(
    path: str, mark: bytes, *, first_line: bool = False, most: int = 0o666
) -> Iterator[BinaryIO]:
    """Give a new file that takes the place of the one at `path` when the block ends; else as `write_file`.

    Where a link leads is found out once: what is looked at is what is replaced, and the link stays.
    """
    target = check_target(path, mark, first_line=first_line)
    if os.path.exists(target) and not os.path.isfile(target):
        raise ImgclusterError(f"{path} is a device, which no file takes the place of: name a file")
    with _writing(path), at(target) as place, replacing(place, most=most) as file:
        yield file


def table_file(path: str | None, header: Sequence[str]) -> Callable[[Iterable[Sequence[object]]], None]:
    """Return what writes rows as CSV to `path`, or nowhere for None, once the work is done.

    Raises ImgclusterError now where the place cannot be written to: that costs no work then.
    """
    if path is None:
        return lambda _: None
    check_target(path, csv_bytes(header, ()), first_line=True)
    return lambda rows: write_file(path, csv_bytes(header, rows))


def check_target(path: str, mark: bytes, *, first_line: bool = False) -> str:
    """Make sure that `path` can be written, and is free, empty or of an earlier run, which left `mark` there.

    So a name typed wrong costs nothing: no photograph, no feature store and nobody's own table. Called before
    long work, it saves that, too.

    Parameters
    ----------
    first_line
        A table: only its first line is compared with that of `mark`.

    Returns
    -------
    str
        Where it leads through links, and what was looked at.

    Raises
    ------
    ImgclusterError
        When it is a folder or holds anything else, or cannot be read or written; or is a link out of its
        folder to where nothing of an earlier run is, which somebody else may have put there.
    """
    target = os.path.realpath(path)
    mode, head = stat.S_IFREG, b""
    with _writing(path), contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        head = _head(target) if stat.S_ISREG(mode) else b""
    if stat.S_ISDIR(mode):
        raise ImgclusterError(f"{path} is a folder: name a file")
    ours = _first_line(head) == _first_line(mark) if first_line else mark in head
    if head and not ours:
        raise ImgclusterError(
            f"{path} holds something else than this command writes: name another file, or move that one away"
        )
    folder = os.path.dirname(target)
    if stat.S_ISREG(mode) and not os.access(folder, os.W_OK):
        number = errno.EACCES if os.path.isdir(folder) else errno.ENOENT
        with _writing(path):
            raise OSError(number, os.strerror(number))
    if stat.S_ISREG(mode) and not head and leads_out(path):
        raise ImgclusterError(
            f"{path} is a link that leads to {target}, where this command has written nothing: "
            "name that place itself, if it is meant"
        )
    return target


def _writing(path: str) -> contextlib.AbstractContextManager[None]:
    return explained(f"cannot write {path}", "; name another file")


def _first_line(data: bytes) -> bytes:
    return data.partition(b"\n")[0].rstrip(b"\r")


def _head(path: str) -> bytes:
    with named(path) as file:
        return file.read(_HEAD_BYTES)
