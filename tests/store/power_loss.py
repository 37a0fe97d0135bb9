"""Records what the write-ahead log asks of the system, and rebuilds what a crash at any moment may leave."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from imgcluster import files, held
from imgcluster.store import wal

SECTORS = (512, 4096)


@dataclass(frozen=True)
class Operation:
    """One call: write, truncate, sync, create, unlink, sync folder; or `acknowledged`, the writer's word."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""


def install(patch: pytest.MonkeyPatch, system: Any) -> None:
    """Let `system` stand for the module `os` wherever the log reaches the disk."""
    for module in (wal, files, held):
        patch.setattr(module, "os", system)


def whole(name: str, folder: int | None) -> str:
    """The path of a name in an open folder."""
    return (
        name
        if folder is None
        else os.path.normpath(os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name))
    )


class RecordingOs:
    """Stands for the module `os` in the write-ahead log: all happens, and what changes files is noted."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _note(self, kind: str, descriptor: int, offset: int = 0, data: bytes = b"") -> None:
        self.operations.append(Operation(kind, self._paths[descriptor], offset, data))

    def acknowledge(self, batches: int) -> None:
        self.operations.append(Operation("acknowledged", offset=batches))

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        path = whole(path, dir_fd)
        new = flags & os.O_CREAT and not os.path.exists(path)
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = path
        if new:
            self._note("create", descriptor)
        return descriptor

    def pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        written = os.pwrite(descriptor, data, offset)
        self._note("write", descriptor, offset, bytes(data[:written]))
        return written

    def ftruncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)
        self._note("truncate", descriptor, size)

    def fdatasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)
        self._note("sync", descriptor)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        self._note("sync folder", descriptor)

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        path = whole(path, dir_fd)
        os.unlink(path)
        self.operations.append(Operation("unlink", path))


@dataclass
class _Disk:
    """Files as they surely are, and what may or may not have reached them."""

    files: dict[str, bytearray]
    pending: dict[str, list[Operation]] = field(default_factory=dict)
    names: list[Operation] = field(default_factory=list)

    def take(self, operation: Operation) -> None:
        if operation.kind in ("create", "unlink"):
            self.names.append(operation)
        elif operation.kind == "sync folder":
            for name in self.names:
                self._rename(name)
            self.names = []
        elif operation.kind == "sync":
            for earlier in self.pending.pop(operation.path, []):
                self.apply(earlier)
        elif operation.kind != "acknowledged":
            self.pending.setdefault(operation.path, []).append(operation)

    def _rename(self, operation: Operation) -> None:
        if operation.kind == "create":
            self.files.setdefault(operation.path, bytearray())
        else:
            self.files.pop(operation.path, None)

    def apply(self, operation: Operation) -> None:
        content = self.files.setdefault(operation.path, bytearray())
        if operation.kind == "truncate":
            del content[operation.offset :]
            content.extend(bytes(operation.offset - len(content)))
        else:
            content.extend(bytes(max(0, operation.offset - len(content))))
            content[operation.offset : operation.offset + len(operation.data)] = operation.data

    def settle(self, random_, survival: float) -> None:
        """Let each unsynced piece survive with a chance of `survival`."""
        sector = random_.choice(SECTORS)
        for operations in self.pending.values():
            for operation in operations:
                for piece in _pieces(operation, sector):
                    if random_.random() < survival:
                        self.apply(piece)
        for name in self.names:
            if random_.random() < survival:
                self._rename(name)


def _pieces(operation: Operation, sector: int):
    if operation.kind != "write":
        yield operation
        return
    at = 0
    while at < len(operation.data):
        length = sector - (operation.offset + at) % sector
        yield Operation("write", operation.path, operation.offset + at, operation.data[at : at + length])
        at += length


def state_after(start, operations, random_, *, power_loss: bool):
    """What the files may hold if the machine (or only the process) stops after some of `operations`.

    Returns
    -------
    files
        Content by path.
    acknowledged
        How many batches the writer had been told are safe.
    """
    cut = random_.randrange(len(operations) + 1)
    done = list(operations[:cut])
    if cut < len(operations) and operations[cut].kind == "write":
        torn = operations[cut]
        length = random_.randrange(len(torn.data) + 1)
        done.append(Operation("write", torn.path, torn.offset, torn.data[:length]))
    disk = _Disk({path: bytearray(content) for path, content in start.items()})
    for operation in done:
        disk.take(operation)
    disk.settle(random_, random_.choice((0.0, 0.5, 0.9, 1.0)) if power_loss else 1.0)
    acknowledged = [operation.offset for operation in done if operation.kind == "acknowledged"]
    return disk.files, max(acknowledged, default=0)
