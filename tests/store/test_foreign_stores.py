"""A store that somebody else made: nothing is followed, written or waited for, and no memory is taken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from interruption import Interruption
from store_helpers import DIMENSION, SPACE, fill

from imgcluster.errors import StoreError
from imgcluster.records import PathEntry
from imgcluster.store.in_flight import InFlight
from imgcluster.store.merge import merge
from imgcluster.store.prune import prune
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore
from imgcluster.store.table import append_entries, make_entries


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "features.h5")
    fill(path, 10, folder=tmp_path)
    return path


@contextmanager
def soon() -> Iterator[None]:
    """Whatever hangs is ended."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read(path: str) -> None:
    with FeatureStore(path) as store:
        store.paths()
        store.failures()
        store.scanned_folders()
        store.runs()


def write(path: str) -> None:
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION)


def watch(path: str) -> None:
    with InFlight(path):
        pass


@pytest.mark.parametrize(
    ("suffix", "commands"),
    [(".lock", (write,)), (".wal0", (write, read)), (".wal1", (write, read)), (".inflight", (watch,))],
)
def test_no_side_file_is_opened_through_a_link_or_waited_for(
    path: str, tmp_path: Path, suffix: str, commands: tuple[Callable[[str], None], ...]
) -> None:
    """S6, S7, S9: neither emptied nor replaced, and one line names the file."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"keep me" * 1000)
    side = Path(f"{path}{suffix}")
    for make in (lambda: side.symlink_to(secret), lambda: side.hardlink_to(secret), lambda: os.mkfifo(side)):
        side.unlink(missing_ok=True)
        make()
        for command in commands:
            if side.is_file() and not side.is_symlink() and command is read:
                continue  # a second name of a file: reading it does no harm
            with soon(), pytest.raises(StoreError, match=f"{side.name}: (is|has) ") as error:
                command(path)
            assert "\n" not in str(error.value)
        assert secret.read_bytes() == b"keep me" * 1000


def test_a_store_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe.h5")
    os.mkfifo(pipe)
    for command in (read, write, repair):
        with soon(), pytest.raises(StoreError, match="is not a regular file"):
            command(pipe)
    with soon():
        assert verify(pipe).problems == (f"cannot read {pipe}: is not a regular file",)


def test_a_log_that_would_make_the_file_longer_than_it_is_counts_for_nothing(path: str) -> None:
    from imgcluster.store.wal import Record

    size = os.path.getsize(path)
    Path(f"{path}.wal0").write_bytes(Record(9, 1 << 50, {}).encode())
    read(path)
    write(path)
    assert os.path.getsize(path) == size


def replace_dataset(file: h5py.File, name: str, make: Callable[[h5py.Group, str], None]) -> None:
    group, _, child = name.rpartition("/")
    del file[name]
    make(file[group], child)


def external_link(group: h5py.Group, name: str) -> None:
    group[name] = h5py.ExternalLink("other.h5", "/data")


def soft_link(group: h5py.Group, name: str) -> None:
    group[name] = h5py.SoftLink("/paths/text")


def external_data(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (500,), "u1", external=[("/etc/passwd", 0, 500)])


def virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((500,), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "data", (500,))
    group.create_virtual_dataset(name, layout)


def compressed(group: h5py.Group, name: str) -> None:
    group.create_dataset(
        name, data=np.zeros(500, np.uint8), maxshape=(None,), chunks=(1 << 16,), compression="gzip"
    )


def absurdly_long(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1 << 40,), "u1", maxshape=(None,), chunks=(1 << 16,))


def in_absurd_chunks(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (500,), "u1", maxshape=(None,), chunks=((1 << 32) - 1,))


def of_another_type(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (500,), "f8", maxshape=(None,), chunks=(1 << 16,))


def a_group(group: h5py.Group, name: str) -> None:
    group.create_group(name)


FORGED = (
    external_link,
    soft_link,
    external_data,
    virtual,
    compressed,
    absurdly_long,
    in_absurd_chunks,
    of_another_type,
    a_group,
)


@pytest.mark.parametrize("forge", FORGED)
@pytest.mark.parametrize("name", ["paths/text", f"spaces/{SPACE.name}/crc32", f"spaces/{SPACE.name}"])
def test_whatever_is_not_as_imgcluster_makes_it_is_damage(
    path: str, tmp_path: Path, name: str, forge: Callable[[h5py.Group, str], None]
) -> None:
    """S15: links, data elsewhere, filters, absurd shapes and types: refused, named, and not followed."""
    if name.endswith(SPACE.name) and forge is a_group:
        pytest.skip("that is what a space is")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.frombuffer(b"secret" * 100, np.uint8)
    with h5py.File(path, "r+") as file:
        replace_dataset(file, name, forge)
    with pytest.raises(StoreError, match=f"^{path} is damaged .*store repair") as error:
        read(path)
    assert "\n" not in str(error.value)
    assert verify(path).problems
    with pytest.raises(StoreError, match=f"^{path} is damaged"):
        merge([path], str(tmp_path / "merged.h5"))
    assert not (tmp_path / "merged.h5").exists()
    repair(path)
    assert verify(path).problems == ()
    assert b"secret" not in Path(path).read_bytes()


def test_a_long_row_of_nothing_takes_no_memory(tmp_path: Path) -> None:
    """A header that speaks of 12 GB in a file of some kilobytes."""
    path = str(tmp_path / "features.h5")
    fill(path, 3)
    with h5py.File(path, "r+") as file:
        for name in ("keys", "embeddings", "crc32"):
            file[f"spaces/{SPACE.name}/{name}"].resize(1 << 28, axis=0)
        for name in ("entries", "text"):
            file[f"paths/{name}"].resize(1 << 28, axis=0)

    program = """
import resource, sys
from imgcluster.cli.app import app
from typer.testing import CliRunner
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for command in ("info", "verify", "repair"):
    done = CliRunner().invoke(app, ["store", command, "--store", sys.argv[1]])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "damaged" in done.output or command != "info"
    assert "memory" not in done.output
"""
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert verify(path).problems == ()


@pytest.mark.parametrize(
    ("text", "relative"),
    [
        (b"../secret", True),
        (b"/etc/passwd", True),
        (b"a/../../secret", True),
        (b"secret", False),
        (b"", False),
        (b"", True),
        (b"/photos/../etc/passwd", False),
        (b"/photos/a\0b", False),
    ],
)
@pytest.mark.parametrize("table", ["paths", "failures", "folders"])
def test_a_path_that_leads_round_about_is_damage(path: str, table: str, text: bytes, relative: bool) -> None:
    """S12: `..`, NUL, and relative ones that begin at the root."""
    if table == "failures" and b"\0" in text:
        pytest.skip("there the reason follows")
    with h5py.File(path, "r+") as file:
        append_entries(file[table], make_entries(table, [text], flags=int(relative)))
    with pytest.raises(StoreError, match=f"^{path}: 1 entries of the table of {table} are damaged"):
        read(path)
    assert verify(path).problems == (f"table of {table}: 1 damaged entries",)
    repair(path)
    read(path)


def test_no_such_path_is_ever_recorded(path: str) -> None:
    with FeatureStore(path, "a") as store:
        for wrong in ("a.jpg", "/photos/../a.jpg", ""):
            with pytest.raises(ValueError, match="not an absolute path"):
                store.record_paths([PathEntry(wrong, 1, 2, 3, bytes(32))])


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_store_and_what_lies_beside_it_have_the_mode_that_the_user_asks_for(
    tmp_path: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        with FeatureStore(tmp_path / "features.h5", "a"), InFlight(tmp_path / "features.h5") as watch:
            watch.start("/a.jpg")
            modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in os.listdir(tmp_path)}
    finally:
        os.umask(before)
    assert len(modes) == 5
    assert set(modes.values()) == {0o666 & ~mask}
    (tmp_path / "features.h5").chmod(0o600)
    for name in set(modes) - {"features.h5"}:
        (tmp_path / name).unlink(missing_ok=True)
    with FeatureStore(tmp_path / "features.h5", "a"), InFlight(tmp_path / "features.h5") as watch:
        watch.start("/a.jpg")
        private = {name: (tmp_path / name).stat().st_mode & 0o777 for name in os.listdir(tmp_path)}
    assert private == dict.fromkeys(modes, 0o600)


def keys_in(path: str) -> list[bytes]:
    with FeatureStore(path) as store:
        return [entry.key for entry in store.paths()]


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


STEPS = {
    "write": write,
    "make": lambda path: write(path.replace("features", "new")),
    "read": keys_in,
    "watch": watch,
    "prune": lambda path: prune(path, force=True),
    "merge": lambda path: merge([path], path.replace("features", "merged")),
    "repair": repair,
}


@pytest.mark.parametrize("where", ["folder", "files"])
@pytest.mark.parametrize("command", STEPS)
def test_no_exchange_while_a_store_is_open_leads_to_another_one(
    tmp_path: Path, command: str, where: str
) -> None:
    """S10: the folder, or what lies in it, becomes a link to a store of the user's elsewhere."""
    shared, private = tmp_path / "base" / "shared", tmp_path / "base" / "private"
    for folder, count, start in ((shared, 3, 0), (private, 5, 10)):
        folder.mkdir(parents=True)
        fill(folder / "features.h5", count, start=start, folder=folder)
    if command == "repair":
        with h5py.File(shared / "features.h5", "r+") as file:
            file["spaces"][SPACE.name]["embeddings"][0] += 1
    for name in ("new.h5", "merged.h5"):
        shutil.copy(private / "features.h5", private / name)
    for name in ("features.h5.lock", "features.h5.inflight", "new.h5.lock"):
        (private / name).write_bytes(b"")
    at, happened = 1, True
    while happened:
        shutil.copytree(tmp_path / "base", tmp_path / str(at))
        shared, private = tmp_path / str(at) / "shared", tmp_path / str(at) / "private"
        path, before = str(shared / "features.h5"), bytes_below(private)

        def exchange(shared: Path = shared, private: Path = private) -> None:
            if where == "folder":
                shared.rename(f"{shared}-away")
                shared.symlink_to(private)
                return
            for path in list(shared.iterdir()):
                path.rename(shared / f"{path.name}.away")
                path.symlink_to(private / "features.h5")

        with pytest.MonkeyPatch.context() as patch, suppress(StoreError, OSError):
            step = Interruption(patch.setattr, at, exchange)
            patch.setattr(h5py, "File", step._wrapped(h5py.File, after=False))
            found = STEPS[command](path)
            assert command != "read" or len(found) == 3
        assert bytes_below(private) == before, at
        happened = step.happened
        at += 1
    assert at > 2
