from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import DIMENSION, OTHER, SPACE, entry, fill, rows

from imgcluster.errors import FailureCode, StoreError, StoreLocked
from imgcluster.records import PICTURE, Failure, FeatureSpace, ImageFile, PathEntry, Run
from imgcluster.store import migrations, wal
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.lock import WriterLock
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore
from imgcluster.store.table import Entries, append_entries
from imgcluster.workflows.options import ReadStoreOptions
from imgcluster.workflows.store import info


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.h5")


def test_rows_come_back_in_the_order_asked_for(path):
    keys, embeddings = rows(0, 300)
    fill(path, 300)
    with FeatureStore(path) as store:
        order = np.random.default_rng(0).permutation(300)[:200]
        np.testing.assert_array_equal(store.read(SPACE.name, keys[order]), embeddings[order])
        twice = np.concatenate([keys[5:7], keys[5:7]])
        np.testing.assert_array_equal(store.read(SPACE.name, twice), embeddings[[5, 6, 5, 6]])
        np.testing.assert_array_equal(store.keys(SPACE.name), keys)
        assert store.read(SPACE.name, keys[:0]).shape == (0, DIMENSION)


@settings(max_examples=15)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8),
    st.sampled_from(["float32", "float16"]),
)
def test_whatever_is_appended_is_there_once(batches, dtype):
    expected: dict[bytes, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.h5")
        for batch in batches:
            # The same keys with other numbers: the first to come stays.
            keys = np.concatenate([rows(i, 1)[0] for i in batch] or [rows(0, 0)[0]])
            embeddings = (
                np.random.default_rng(len(expected)).standard_normal((len(batch), 3)).astype(np.float32)
            )
            with FeatureStore(path, "a") as store:
                store.add_space(SPACE, 3, dtype)
                store.append(SPACE.name, keys, embeddings)
            for key, embedding in zip(keys, embeddings.astype(dtype), strict=True):
                expected.setdefault(key.tobytes(), embedding)
        if batches:
            with FeatureStore(path) as store:
                assert [key.tobytes() for key in store.keys(SPACE.name)] == list(expected)
                assert store.find_space().dtype == dtype
                for key, embedding in expected.items():
                    found = store.read(SPACE.name, np.frombuffer(key, np.uint8)[None])
                    assert found.dtype == np.float32
                    np.testing.assert_array_equal(found[0], embedding.astype(np.float32))


def test_a_source_gives_the_same_blocks_again_and_again(path):
    keys, _ = rows(0, 500)
    fill(path, 500)
    with FeatureStore(path) as store:
        chosen = np.random.default_rng(0).permutation(500)[:333]
        source = store.source(SPACE.name, keys[chosen], block_bytes=64 * 4 * DIMENSION)
        assert source.dimension == DIMENSION
        for _ in range(2):
            blocks = list(source.blocks())
            assert len(blocks) > 3
            np.testing.assert_array_equal(np.concatenate(blocks), store.read(SPACE.name, source.keys))
        np.testing.assert_array_equal(source.keys, keys[np.sort(chosen)])


def test_keys_that_share_their_beginning_are_told_apart():
    keys = np.zeros((200, 32), np.uint8)
    keys[:, 31] = np.arange(200)
    index = KeyIndex(keys[:100])
    index.add(keys[100:150])
    found = index.find(keys[::-1])
    assert found.tolist() == [-1] * 50 + list(range(149, -1, -1))
    assert KeyIndex(keys[:0]).find(keys).tolist() == [-1] * 200


def test_membership(path):
    keys, _ = rows(0, 20)
    fill(path, 10)
    with FeatureStore(path, "a") as store:
        assert store.contains(SPACE.name, keys).tolist() == [True] * 10 + [False] * 10
        store.append(SPACE.name, *rows(10, 5))
        assert store.contains(SPACE.name, keys).tolist() == [True] * 15 + [False] * 5


def test_a_missing_key_is_named(path):
    fill(path, 3)
    with FeatureStore(path) as store, pytest.raises(StoreError, match=rows(7, 1)[0].tobytes().hex()):
        store.read(SPACE.name, rows(0, 8)[0][[0, 7]])


def test_one_flipped_bit_in_an_embedding_is_found_and_named(path):
    fill(path, 50)
    with h5py.File(path, "r+") as file:
        file[f"spaces/{SPACE.name}/embeddings"][7, 3] += 1
    with FeatureStore(path) as store:
        keys = store.keys(SPACE.name)
        assert len(store.read(SPACE.name, keys[8:])) == 42
        with pytest.raises(StoreError, match=f"{keys[7].tobytes().hex()}.*store repair"):
            store.read(SPACE.name, keys)


def test_an_exception_leaves_nothing_uncommitted(path):
    fill(path, 10)
    with pytest.raises(RuntimeError, match="boom"), FeatureStore(path, "a") as store:  # noqa: PT012
        store.append(SPACE.name, *rows(10, 10))
        store.commit()
        store.append(SPACE.name, *rows(20, 10))
        raise RuntimeError("boom")
    with FeatureStore(path) as store:
        assert store.find_space().rows == 20


def test_every_part_of_a_space_comes_back_and_a_usual_one_is_written_as_ever(path):
    usual = FeatureSpace("usual", "ab" * 32, 32)
    cropped = replace(usual, crop=0.875, interpolation="bicubic", normalisation="rgb mean 1 2 3 std 4 5 6")
    with FeatureStore(path, "a") as store:
        store.add_space(usual, 3)
        store.add_space(cropped, 3)
    with FeatureStore(path) as store:
        assert {stored.space for stored in store.spaces} == {usual, cropped}
    with h5py.File(path) as file:
        names = set(file["spaces"][usual.name].attrs)
    assert names == {
        "network", "weights", "input_size", "pooling", "preprocessing", "quantisation", "key_hash"
    }  # fmt: skip


def test_the_space_is_chosen_or_those_that_are_there_are_listed(path):
    with FeatureStore(path, "a") as store:
        with pytest.raises(StoreError, match="imgcluster extract"):
            store.find_space()
        store.add_space(SPACE, 3)
        assert store.find_space().space == SPACE
        with pytest.raises(StoreError, match=f"no feature space vgg16, only {SPACE.name}"):
            store.find_space(network="vgg16")
        with pytest.raises(StoreError, match=rf"space {SPACE.network}x \(did you mean {SPACE.network}\?\)"):
            store.find_space(network=f"{SPACE.network}x")
        store.add_space(OTHER, 4)
        with pytest.raises(StoreError, match=rf"--space .*: {SPACE.name} \(0 rows\), {OTHER.name}"):
            store.find_space()
        assert store.find_space(network="other").space == OTHER
        assert store.find_space(name=SPACE.name) == store.find_space(space=SPACE)
        assert store.add_space(SPACE, 3, "float16").dtype == "float32"
        with pytest.raises(StoreError, match="3 numbers, not 5"):
            store.add_space(SPACE, 5)


def test_paths_survive_as_they_are_and_the_latest_entry_counts(path, tmp_path):
    inside = os.fsdecode(os.fsencode(tmp_path) + b"/sub/\xff\xfe name.jpg")
    outside = "/elsewhere/ö.jpg"
    entries = [PathEntry(inside, 1, 2, 3, bytes(32)), PathEntry(outside, 4, 5, 6, bytes(range(32)))]
    with FeatureStore(path, "a") as store:
        store.record_paths([PathEntry(inside, 0, 0, 0, bytes(32)), *entries])
    with FeatureStore(path, "a") as store:
        assert store.paths() == tuple(sorted(entries, key=lambda e: os.fsencode(e.path)))
        store.record_failures([Failure(outside, "changed", FailureCode.DAMAGED, 40, 50)])
    with FeatureStore(path) as store:
        assert store.paths() == (entries[0],)


names = st.binary(min_size=1, max_size=12).filter(lambda b: b"\0" not in b and b".." not in b.split(b"/"))


@settings(max_examples=15)
@given(st.lists(st.tuples(names, st.booleans(), st.integers(-(2**60), 2**60)), max_size=20))
def test_every_path_survives(steps):
    expected: dict[str, PathEntry] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.h5")
        with FeatureStore(path, "a") as store:
            for name, forget, number in steps:
                file = os.fsdecode(os.fsencode(folder) + b"/" + name)
                if forget:
                    store.record_failures([Failure(file, "changed", FailureCode.DAMAGED, abs(number) + 1, 0)])
                    expected.pop(file, None)
                else:
                    expected[file] = PathEntry(file, abs(number), number, number, bytes(32))
                    store.record_paths([expected[file]])
        with FeatureStore(path) as store:
            assert {e.path: e for e in store.paths()} == expected


def test_a_file_edited_within_the_clock_s_granularity_is_not_taken_for_unchanged(path):
    second = 1_000_000_000
    racy = PathEntry("/a.jpg", 10, 100 * second, 101 * second, bytes(32))
    safe = PathEntry("/b.jpg", 10, 100 * second, 103 * second, bytes(32))
    with FeatureStore(path, "a") as store:
        store.record_paths([racy, safe])
    with FeatureStore(path) as store:
        first, second_ = store.paths()
    assert not first.describes(ImageFile("/a.jpg", 10, 100 * second))
    assert second_.describes(ImageFile("/b.jpg", 10, 100 * second))


def test_failures_stay_until_the_file_is_read(path):
    failures = (
        Failure("/a.jpg", "not an image: ü \udcff", FailureCode.TOO_LARGE, 1, 2, 10**12),
        Failure("/b\udcff.jpg", "I/O error", FailureCode.IO_ERROR),
    )
    with FeatureStore(path, "a") as store:
        store.record_failures([Failure("/a.jpg", "older", FailureCode.DAMAGED, 0, 0), *failures])
    with FeatureStore(path, "a") as store:
        assert store.failures() == failures
        store.record_paths([PathEntry("/a.jpg", 1, 2, 3, bytes(32))])
    with FeatureStore(path, "a") as store:
        assert store.failures() == failures[1:]
        store.settle_failures(["/b\udcff.jpg"])
        assert store.failures() == ()


@pytest.mark.parametrize(
    ("failure", "known"),
    [
        (Failure("/a.jpg", "damaged", FailureCode.DAMAGED, 9, 9), False),
        (Failure("/a.jpg", "slow", FailureCode.DAMAGED, 1, 2), True),
        (Failure("/a.jpg", "offline", FailureCode.IO_ERROR, 9, 9), True),
        (Failure("/a.jpg", "gone", FailureCode.NOT_A_FILE), True),
    ],
)
def test_a_file_that_changed_and_then_failed_is_no_longer_what_it_was(path, failure, known):
    with FeatureStore(path, "a") as store:
        store.record_paths([PathEntry("/a.jpg", 1, 2, 3, bytes(32))])
        store.record_failures([failure])
    with FeatureStore(path) as store:
        assert bool(store.paths()) == known
        assert store.failures() == (failure,)


def test_folders_and_runs_are_remembered(path, tmp_path):
    run = Run("2026-01-01T00:00:00+00:00", SPACE.name, 7, 1.5, {"precision": "float32"})
    with FeatureStore(path, "a") as store:
        store.record_scanned([str(tmp_path), "/photos"])
        store.record_scanned(["/photos"])
        store.record_run(run)
    with FeatureStore(path) as store:
        assert store.scanned_folders() == tuple(sorted([str(tmp_path), "/photos"]))
        assert store.runs() == (run,)


def test_folder_and_store_move_together(tmp_path):
    """Report C5: after the folder was renamed, every row is found by content and paths follow."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    fill(old / "features.h5", 5, folder=old / "images")
    old.rename(new)
    with FeatureStore(new / "features.h5") as store:
        assert [e.path for e in store.paths()] == [str(new / "images" / f"image {i}.jpg") for i in range(5)]
        assert store.contains(SPACE.name, rows(0, 5)[0]).all()


def test_a_link_to_a_store_is_that_store(tmp_path):
    (tmp_path / "real").mkdir()
    fill(tmp_path / "real" / "features.h5", 2, folder=tmp_path / "real")
    (tmp_path / "link.h5").symlink_to("real/features.h5")
    fill(tmp_path / "link.h5", 3, start=2, folder=tmp_path / "real")
    with FeatureStore(tmp_path / "real" / "features.h5") as store:
        assert [e.path for e in store.paths()] == [entry(tmp_path / "real", i).path for i in range(5)]


HOLD = "import sys; from imgcluster.store.store import FeatureStore\n"
HOLD += "with FeatureStore(sys.argv[1], 'a') as s: print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def other_writer(path):
    """Another process that has the store open for writing."""
    fill(path, 10)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_holds_the_store(path, other_writer):
    """Report C1."""
    with pytest.raises(StoreLocked, match=rf"process {other_writer.pid} since \d{{4}}-.*wait until") as error:
        FeatureStore(path, "a")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("other_writer")
def test_readers_work_while_a_writer_has_the_store(path):
    """Report C1."""
    for _ in range(3):
        with FeatureStore(path) as store:
            assert store.find_space().rows == 10


def test_the_lock_of_a_dead_process_is_taken_over(path, other_writer):
    other_writer.kill()
    other_writer.wait()
    assert os.path.exists(path + ".lock")
    fill(path, 5, start=10)


def test_without_locks_a_warning_is_given(path):
    lines: list[str] = []
    with FeatureStore(path, "a", lock=False, notify=lines.append) as store:
        store.add_space(SPACE, DIMENSION)
        store.append(SPACE.name, *rows(0, 10))
        store.commit()
        with FeatureStore(path, lock=False) as reader:
            assert reader.find_space().rows == 10
    assert len(lines) == 1
    assert "without a lock" in lines[0]


def test_a_reader_sees_a_consistent_prefix_while_a_writer_writes(path, tmp_path):
    notes = str(tmp_path / "notes")
    writer = os.path.join(os.path.dirname(__file__), "store_writer.py")
    fill(path, 0)
    with subprocess.Popen([sys.executable, writer, path, notes, "4", str(DIMENSION)]) as process:
        seen = set()
        try:
            while len(seen) < 6:
                with FeatureStore(path) as store:
                    held = store.find_space(name=SPACE.name).rows
                    np.testing.assert_array_equal(store.keys(SPACE.name), rows(0, held)[0])
                    if held:
                        keys, embeddings = rows(max(0, held - 20), min(20, held))
                        np.testing.assert_array_equal(store.read(SPACE.name, keys), embeddings)
                    seen.add(held)
        finally:
            process.kill()


def test_a_reader_that_stays_keeps_what_it_saw_and_delays_nobody(path):
    fill(path, 100)
    with FeatureStore(path) as reader:
        for i in range(5):
            fill(path, 100, start=100 * (i + 1))
        assert reader.find_space().rows == 100
        np.testing.assert_array_equal(reader.read(SPACE.name, rows(0, 100)[0]), rows(0, 100)[1])
        with FeatureStore(path) as second:
            assert second.find_space().rows == 600
            np.testing.assert_array_equal(second.read(SPACE.name, rows(0, 600)[0]), rows(0, 600)[1])
    with FeatureStore(path) as third:
        assert third.find_space().rows == 600


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not an HDF5 file"), (b"hello" * 1000, "not an HDF5 file"), (None, "run `imgcluster extract`")],
)
def test_what_is_no_store_is_refused(path, content, message):
    if content is not None:
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(StoreError, match=message):
        FeatureStore(path)


def test_another_program_s_file_is_refused_and_untouched(path):
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(10)
    with open(path, "rb") as stream:
        before = stream.read()
    for mode in ("r", "a"):
        with pytest.raises(StoreError, match="not a feature store"):
            FeatureStore(path, mode)
    with open(path, "rb") as stream:
        assert stream.read() == before


def test_a_store_of_a_newer_version_is_refused_and_untouched(path):
    fill(path, 3)
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 99
    with open(path, "rb") as stream:
        before = stream.read()
    for mode in ("r", "a"):
        with pytest.raises(StoreError, match=r"newer imgcluster \(schema 99"):
            FeatureStore(path, mode)
    with open(path, "rb") as stream:
        assert stream.read() == before


def test_an_older_store_is_migrated_by_a_writer_and_keeps_its_rows(path, monkeypatch):
    fill(path, 3)

    version = len(migrations.MIGRATIONS)

    def add_note(file):
        file.attrs["note"] = "new"

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, add_note))
    assert info(ReadStoreOptions(store=path)).schema == version
    fill(path, 2, start=3)
    with h5py.File(path) as file:
        assert (file.attrs["schema"], file.attrs["note"]) == (version + 1, "new")
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 5)[0]), rows(0, 5)[1])
    assert info(ReadStoreOptions(store=path)).schema == version + 1


OLD_FAILURES = {
    "300 x 200 pixels are more than the limit of 1,000 (--max-pixels raises it)": FailureCode.TOO_LARGE,
    "the JPEG is cut short (--accept-truncated takes what is there)": FailureCode.TRUNCATED,
    'HEIC needs an optional part: pip install "imgcluster[heic]"': FailureCode.MISSING_LIBRARY,
    "ended the process that decoded it, twice (SIGSEGV)": FailureCode.CRASHED_DECODER,
    "not enough memory to decode it": FailureCode.OUT_OF_MEMORY,
    "not an image: a text file": FailureCode.NOT_AN_IMAGE,
    "a damaged PNG file (wrong filter)": FailureCode.DAMAGED,
    "a named pipe, not a file": FailureCode.NOT_A_FILE,
    "some words of an earlier release \udcff": FailureCode.DAMAGED,
}
OLD_TEMPORARY_FAILURES = {
    "gave no answer within 60 s": FailureCode.TIMED_OUT,
    "an empty file": FailureCode.EMPTY,
    "a symbolic link that leads in a circle": FailureCode.IO_ERROR,
    "some words": FailureCode.IO_ERROR,
}


@pytest.fixture
def old_store(path):
    """A store of the first version, in which failures have a bit for the temporary ones and no code."""
    told = [
        *((reason, 0) for reason in OLD_FAILURES),
        *((reason, 4) for reason in OLD_TEMPORARY_FAILURES),
    ]
    with h5py.File(path, "w", libver="earliest") as file:
        migrations.spaces_and_tables(file)
        file.attrs["schema"] = 1
        texts = [
            b"/%d.jpg\0" % i + reason.encode(errors="surrogateescape") for i, (reason, _) in enumerate(told)
        ]
        columns = np.zeros(len(told), file["failures/entries"].dtype)
        columns["flags"] = [flag for _, flag in told]
        columns["size"], columns["mtime_ns"] = 7, range(len(told))
        append_entries(file["failures"], Entries(columns, texts))
    return path


@pytest.mark.parametrize("way", ["read", "written", "repaired"])
def test_failures_of_an_old_store_get_a_code_by_their_wording_once(old_store, way):
    expected = [
        Failure(f"/{i}.jpg", reason, code, 7, i, 60_000 if code == FailureCode.TOO_LARGE else 0)
        for i, (reason, code) in enumerate({**OLD_FAILURES, **OLD_TEMPORARY_FAILURES}.items())
    ]
    if way == "written":
        FeatureStore(old_store, "a").close()
    elif way == "repaired":
        with h5py.File(old_store, "r+") as file:
            del file["runs"]
        repair(old_store)
    with FeatureStore(old_store) as store:
        assert store.schema == (1 if way == "read" else len(migrations.MIGRATIONS))
        assert sorted(store.failures(), key=lambda failure: failure.mtime_ns) == expected
    assert verify(old_store).problems == ()


def test_an_old_store_with_damaged_failures_is_left_as_it_is_and_can_be_repaired(old_store):
    with h5py.File(old_store, "r+") as file:
        file["failures/text"][3] ^= 1
    with pytest.raises(StoreError, match="store repair"):
        FeatureStore(old_store, "a")
    assert repair(old_store).lost == ("table of failures: 1 damaged entries",)
    with FeatureStore(old_store, "a") as store:
        assert len(store.failures()) == len(OLD_FAILURES) + len(OLD_TEMPORARY_FAILURES) - 1


def test_the_layout_is_what_the_documentation_says(path):
    fill(path, 3, folder="/photos")
    with h5py.File(path) as file:
        group = file["spaces"][SPACE.name]
        assert (file.attrs["format"], file.attrs["schema"]) == ("imgcluster feature store", 4)
        assert {name: (d.shape, d.dtype.str, d.chunks) for name, d in group.items()} == {
            "keys": ((3, 32), "|u1", (1024, 32)),
            "embeddings": ((3, DIMENSION), "<f4", (64, DIMENSION)),
            "crc32": ((3,), "<u4", (1024,)),
        }
        assert group.attrs["network"] == "fake"
        assert set(file) == {"spaces", "pictures", "paths", "failures", "folders", "runs", "picture_keys"}
        assert {name: (d.shape, d.dtype, d.chunks) for name, d in file["pictures"].items()} == {
            "keys": ((0, 32), np.uint8, (1024, 32)),
            "looks": ((0,), PICTURE, (64,)),
            "crc32": ((0,), np.uint32, (1024,)),
        }


def test_time_per_row_stays_flat(path):
    """Report C2, in what decides it: no object per image, whatever the number of rows."""
    fill(path, 20)
    with h5py.File(path) as file:
        few: list[str] = []
        file.visit(few.append)
    fill(path, 3000, start=20)
    with h5py.File(path) as file:
        many: list[str] = []
        file.visit(many.append)
    assert few == many


def test_reading_a_store_imports_no_network_library(path):
    fill(path, 3)
    code = "import sys; from imgcluster.store.store import FeatureStore; FeatureStore(sys.argv[1]).close();"
    code += "print([m for m in ('tensorflow', 'keras', 'cv2', 'sklearn', 'PIL') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def abandoned(path, tmp_path):
    """What a writer leaves that dies before its last commit is in place."""
    fill(path, 100)
    with FeatureStore(path):
        store = FeatureStore(path, "a")
        store.append(SPACE.name, *rows(100, 100))
        store.commit()
        folder = tmp_path / "abandoned"
        folder.mkdir()
        for end in ("", ".wal0", ".wal1"):
            (folder / f"features.h5{end}").write_bytes((tmp_path / f"features.h5{end}").read_bytes())
        store.close()
    return folder / "features.h5"


def assert_holds_200(path, **options):
    with FeatureStore(path, **options) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 200)[0]), rows(0, 200)[1])


def test_a_reader_sees_the_last_commit_though_only_a_writer_applies_it(path, tmp_path):
    left = abandoned(path, tmp_path)
    assert_holds_200(left, lock=False)
    assert not wal.is_checkpointed(str(left))
    with open(left, "rb") as other_reader:
        fcntl.flock(other_reader, fcntl.LOCK_SH)
        assert_holds_200(left)
    held = WriterLock(str(left))
    assert_holds_200(left)
    held.close()
    assert_holds_200(left)
    assert not wal.is_checkpointed(str(left))
    assert_holds_200(left, mode="a")
    assert wal.is_checkpointed(str(left))
