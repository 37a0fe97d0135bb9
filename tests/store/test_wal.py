"""The write-ahead log by itself: plain bytes, no HDF5."""

from __future__ import annotations

import errno
import fcntl
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from power_loss import RecordingOs, install, state_after

from imgcluster.store import wal
from imgcluster.store.wal import PAGE, Record, WriteAheadLog


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pages"
    path.write_bytes(b"start" * 3000)
    return str(path)


def whole(file: WriteAheadLog) -> bytes:
    file.seek(0)
    return file.read()


def on_disk(path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def put(file: WriteAheadLog, offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(memoryview(data))


def test_nothing_is_written_before_a_commit(path):
    before = on_disk(path)
    file = WriteAheadLog(path)
    put(file, 100, b"changed")
    put(file, 50_000, b"added")
    assert on_disk(path) == before
    assert whole(file)[100:107] == b"changed"
    file.rollback()
    assert whole(file) == before
    file.close()


def test_a_commit_is_in_place_and_a_clean_end_leaves_no_log(path, tmp_path):
    file = WriteAheadLog(path)
    put(file, 100, b"changed")
    put(file, 50_000, b"added")
    file.commit()
    expected = whole(file)
    assert on_disk(path) == expected
    assert not wal.is_checkpointed(path)
    assert file.checkpoint()
    file.close()
    assert os.listdir(tmp_path) == ["pages"]
    assert on_disk(path) == expected


def test_a_reader_keeps_its_snapshot_and_nothing_is_lost(path):
    before = on_disk(path)
    with open(path, "rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        file = WriteAheadLog(path)
        for i in range(5):
            put(file, i * 1000, b"%d" % i)
            put(file, 20_000 * (i + 1), b"%d" % i)
            file.commit()
        assert on_disk(path)[: len(before)] == before
        assert not file.checkpoint()
        expected = whole(file)
        file.close()
        through = WriteAheadLog(path, writable=False)
        assert whole(through) == expected
        through.close()
    file = WriteAheadLog(path)
    assert file.recovered
    assert on_disk(path) == whole(file) == expected
    file.close()


def test_a_full_disk_fails_the_commit_which_can_be_repeated(path, monkeypatch):
    class FullDisk(RecordingOs):
        full = True

        def pwrite(self, descriptor, data, offset):
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().pwrite(descriptor, data, offset)

    system = FullDisk()
    install(monkeypatch, system)
    before = on_disk(path)
    file = WriteAheadLog(path)
    put(file, 100, b"changed")
    with pytest.raises(OSError, match="No space"):
        file.commit()
    assert on_disk(path) == before
    system.full = False
    file.commit()
    assert on_disk(path)[100:107] == b"changed"
    file.checkpoint()
    file.close()


def test_after_a_failed_sync_of_the_file_no_commit_is_promised(path, monkeypatch):
    class FailingDisk(RecordingOs):
        failing = False

        def fdatasync(self, descriptor):
            if self.failing:
                raise OSError(errno.EIO, "Input/output error")
            super().fdatasync(descriptor)

    system = FailingDisk()
    install(monkeypatch, system)
    file = WriteAheadLog(path)
    put(file, 100, b"first")
    file.commit()
    expected = whole(file)
    put(file, 100, b"second")
    system.failing = True
    with pytest.raises(OSError, match="Input/output"):
        file.commit()
    system.failing = False
    with pytest.raises(OSError, match="failed earlier"):
        file.commit()
    file.rollback()
    file.close()
    again = WriteAheadLog(path)
    assert again.recovered
    assert whole(again) == expected
    again.close()


def test_a_torn_record_is_none():
    data = Record(7, 10_000, {0: b"a" * PAGE, 2: b"b" * PAGE}).encode()
    assert Record.decode(data + b"old tail") == Record(7, 10_000, {0: b"a" * PAGE, 2: b"b" * PAGE})
    for length in range(0, len(data), 97):
        assert Record.decode(data[:length]) is None
    for at in range(0, len(data), 97):
        flipped = bytearray(data)
        flipped[at] ^= 1
        assert Record.decode(bytes(flipped)) is None


edits = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 3 * PAGE), st.binary(min_size=1, max_size=2 * PAGE)),
    st.tuples(st.just("truncate"), st.integers(0, 4 * PAGE), st.just(b"")),
    st.tuples(st.sampled_from(["commit", "drop", "reopen", "reader", "no reader"]), st.just(0), st.just(b"")),
)


@settings(max_examples=60)
@given(steps=st.lists(edits, max_size=25))
def test_it_behaves_as_a_plain_file_whatever_is_done(tmp_path_factory, steps):
    path = str(tmp_path_factory.mktemp("model") / "pages")
    committed = model = bytearray(b"x" * 5000)
    with open(path, "wb") as stream:
        stream.write(model)
    file, reader = WriteAheadLog(path), None
    for kind, at, data in steps:
        if kind == "write":
            model = bytearray(model.ljust(at, b"\0"))
            model[at : at + len(data)] = data
            put(file, at, data)
        elif kind == "truncate":
            model = bytearray(model[:at].ljust(at, b"\0"))
            file.truncate(at)
        elif kind == "commit":
            committed = bytearray(model)
            file.commit()
        elif kind == "drop":
            model = bytearray(committed)
            file.rollback()
        elif kind == "reopen":
            model = bytearray(committed)
            file.close()
            file = WriteAheadLog(path)
        elif kind == "reader" and reader is None:
            reader = open(path, "rb")  # noqa: SIM115 - it stays open on purpose
            fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
            snapshot = reader.read()
        elif reader is not None:
            # What a reader saw stays as it was for as long as it looks.
            reader.seek(0)
            assert reader.read(len(snapshot)) == snapshot
            reader.close()
            reader = None
        assert whole(file) == model
    if reader is not None:
        reader.close()
    file.close()
    file = WriteAheadLog(path)
    assert whole(file) == committed
    assert file.checkpoint()
    file.close()
    assert on_disk(path)[: len(committed)] == committed


def record_session(path, monkeypatch):
    """Random edits and commits; returns the first content, the calls, and the content after each commit."""
    start = {path: on_disk(path)}
    random_, recorder = random.Random(5), RecordingOs()
    install(monkeypatch, recorder)
    contents = [start[path]]
    for _ in range(3):
        file = WriteAheadLog(path)
        for _ in range(12):
            for _ in range(4):
                put(
                    file,
                    random_.randrange(len(whole(file)) + 3000),
                    random_.randbytes(random_.randrange(6000)),
                )
            file.commit()
            recorder.acknowledge(len(contents))
            contents.append(whole(file))
        file.checkpoint()
        file.close()
    install(monkeypatch, os)
    return start, recorder.operations, contents


def lost_states(start, operations, contents, folder, states, *, power_loss=True):
    """How many of so many crashes lose a commit or leave something in between."""
    random_, lost = random.Random(6), 0
    for number in range(states):
        files, acknowledged = state_after(start, operations, random_, power_loss=power_loss)
        place = folder / str(number)
        place.mkdir()
        for path, content in files.items():
            (place / os.path.basename(path)).write_bytes(content)
        file = WriteAheadLog(str(place / "pages"))
        found = whole(file)
        file.close()
        expected = contents[acknowledged : acknowledged + 2]
        # Past the committed end there may be remains of a commit that did not come to its end.
        lost += not any(found[: len(content)] == content for content in expected)
    return lost


@pytest.mark.parametrize("power_loss", [False, True])
def test_no_crash_loses_a_commit(path, tmp_path, monkeypatch, power_loss):
    recorded = record_session(path, monkeypatch)
    assert lost_states(*recorded, tmp_path, 250, power_loss=power_loss) == 0


@pytest.mark.parametrize("suffix", ["pages", ("wal0", "wal1")])
def test_without_either_sync_the_simulation_sees_losses(path, tmp_path, monkeypatch, suffix):
    start, operations, contents = record_session(path, monkeypatch)
    unsynced = [op for op in operations if op.kind != "sync" or not op.path.endswith(suffix)]
    assert lost_states(start, unsynced, contents, tmp_path, 250) > 0
