"""A full disk, Ctrl-C, and a folder that cannot be written."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import threading

import numpy as np
import pytest
from power_loss import RecordingOs, install
from store_helpers import DIMENSION, SPACE, assert_holds_batches, fill, rows, write_batch

from imgcluster.errors import StoreError
from imgcluster.store.repair import verify
from imgcluster.store.store import FeatureStore
from imgcluster.store.store_file import defer_signals


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own with room for 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_costs_at_most_the_batch_under_way(small_disk):
    path, folder = str(small_disk / "features.h5"), "/photos"
    committed = 0
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, 512)
    for _ in range(3):
        with pytest.raises(StoreError, match="No space left"), FeatureStore(path, "a") as store:  # noqa: PT012
            while True:
                write_batch(store, committed, 32, 512, folder)
                store.commit()
                committed += 1
        assert committed > 10
        assert verify(path).problems == ()
        assert assert_holds_batches(path, committed, 32, 512, folder) == committed


def test_a_store_is_not_even_begun_on_a_full_disk(small_disk):
    with open(small_disk / "ballast", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):  # noqa: PT012
        while True:
            file.write(bytes(4096))
    with pytest.raises(StoreError, match="No space left"):
        FeatureStore(small_disk / "features.h5", "a")
    assert "features.h5" not in os.listdir(small_disk)


def test_a_commit_can_be_repeated_once_there_is_room(small_disk):
    path, ballast = str(small_disk / "features.h5"), small_disk / "ballast"
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION)
        store.append(SPACE.name, *rows(0, 100))
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):  # noqa: PT012
            while True:
                file.write(bytes(4096))
        with pytest.raises(StoreError, match="make room"):
            store.commit()
        ballast.unlink()
        store.commit()
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 100)[0]), rows(0, 100)[1])


def test_no_space_in_the_middle_of_a_write(tmp_path, monkeypatch):
    """Report C3: earlier rows stay readable, and the message names the file."""

    class Filling(RecordingOs):
        room = 40_000

        def pwrite(self, descriptor, data, offset):
            if self.room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(data)
            return super().pwrite(descriptor, data, offset)

    path = str(tmp_path / "features.h5")
    fill(path, 100)
    install(monkeypatch, Filling())
    with pytest.raises(StoreError, match=f"{path}: No space left"):
        fill(path, 2000, start=100)
    install(monkeypatch, os)
    with FeatureStore(path) as store:
        assert store.find_space().rows == 100
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 100)[0]), rows(0, 100)[1])
    assert verify(path).problems == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_until_hdf5_is_done(number):
    done = False
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), defer_signals():  # noqa: PT012
            signal.raise_signal(number)  # in this thread, at once
            for _ in range(1000):
                pass
            done = True
        assert done
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_ctrl_c_at_any_moment_keeps_what_was_committed(tmp_path):
    path = str(tmp_path / "features.h5")
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION)
    committed = 0
    for round_ in range(10):
        timer = threading.Timer(0.005 + 0.004 * round_, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt), FeatureStore(path, "a") as store:  # noqa: PT012
            committed = store.find_space(name=SPACE.name).rows // 4
            timer.start()
            for _ in range(1000):  # not for ever, should no signal come
                write_batch(store, committed, 4, DIMENSION, "/photos")
                store.commit()
                committed += 1
        timer.join()
        assert_holds_batches(path, committed, 4, DIMENSION, "/photos")


def test_a_store_may_be_written_by_another_thread_than_the_one_that_opened_it(tmp_path):
    path = str(tmp_path / "features.h5")
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION)

        def write():
            for i in range(10):
                store.append(SPACE.name, *rows(10 * i, 10))
                store.commit()

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 100)[0]), rows(0, 100)[1])


def test_nothing_can_be_appended_to_a_store_that_is_only_read(tmp_path):
    fill(tmp_path / "features.h5", 3)
    with FeatureStore(tmp_path / "features.h5") as store, pytest.raises(StoreError, match="for reading"):
        store.append(SPACE.name, *rows(3, 1))


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(StoreError, match=r"cannot write .*No such file"):
        FeatureStore(tmp_path / "missing" / "features.h5", "a")


def test_where_no_more_files_may_be_open_the_limit_is_named(tmp_path):
    FeatureStore(tmp_path / "features.h5", "a").close()
    (tmp_path / "features.h5.wal0").touch()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(StoreError, match="allow more by `ulimit -n`"):
            FeatureStore(tmp_path / "features.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_beside_what_is_no_store_nothing_is_left(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"a photograph")
    for name, says in (("photos", "is a folder"), ("a.jpg", "is not an HDF5 file")):
        with pytest.raises(StoreError, match=says):
            FeatureStore(tmp_path / name, "a")
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "photos"]


@pytest.mark.parametrize("log", ["features.h5.wal0", "features.h5.wal1"])
def test_a_folder_that_has_the_name_of_a_log_is_named_and_kept(tmp_path, log):
    (tmp_path / log / "mine").mkdir(parents=True)
    with pytest.raises(StoreError, match=rf"^cannot write .*{log}: Is a directory$"):
        FeatureStore(tmp_path / "features.h5", "a")
    assert os.listdir(tmp_path / log) == ["mine"]


def test_a_reader_writes_nothing_and_a_writer_tells_the_recovery_in_one_line(tmp_path):
    path = str(tmp_path / "features.h5")
    fill(path, 10)
    store = FeatureStore(path, "a")
    store.append(SPACE.name, *rows(10, 10))
    store.commit()
    for end in ("", ".wal0", ".wal1"):
        (tmp_path / f"copy.h5{end}").write_bytes((tmp_path / f"features.h5{end}").read_bytes())
    store.close()
    before = {file: file.read_bytes() for file in tmp_path.glob("copy.h5*")}
    lines: list[str] = []
    with FeatureStore(tmp_path / "copy.h5", notify=lines.append) as copy:
        assert copy.find_space().rows == 20
    assert {file: file.read_bytes() for file in tmp_path.glob("copy.h5*")} == before
    assert lines == []
    with FeatureStore(tmp_path / "copy.h5", "a", notify=lines.append) as copy:
        assert copy.find_space().rows == 20
    assert len(lines) == 1
    assert "recovered" in lines[0]
