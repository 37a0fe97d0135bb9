"""verify, repair, prune, merge."""

from __future__ import annotations

import os
import shutil
import tempfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import DIMENSION, OTHER, SPACE, entry, fill, rows

from imgcluster.errors import FailureCode, StoreError
from imgcluster.records import Failure, PathEntry, Run, SilentProgress
from imgcluster.store.merge import merge
from imgcluster.store.prune import prune
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.h5")


def touch(folder, numbers):
    folder.mkdir(exist_ok=True)
    for i in numbers:
        (folder / f"image {i}.jpg").write_bytes(b"image")


def assert_sound(path, expected_rows=None):
    found = verify(path)
    assert found.problems == ()
    if expected_rows is not None:
        assert found.rows == expected_rows


def damage(path, dataset, row):
    with h5py.File(path, "r+") as file:
        values = file[dataset][row]
        file[dataset][row] = values + 1
    return values


def test_a_sound_store_has_no_problems_and_nothing_to_repair(path):
    fill(path, 100, folder="/photos")
    assert_sound(path, 100)
    done = repair(path)
    assert (done.rows, done.lost, done.damaged_file) == (100, (), None)


@pytest.mark.parametrize("column", ["embeddings", "keys", "crc32"])
def test_repair_drops_the_damaged_row_and_keeps_all_others(path, column):
    fill(path, 100, folder="/photos")
    damage(path, f"spaces/{SPACE.name}/{column}", 41)
    (problem,) = verify(path).problems
    assert "row 41 is damaged" in problem
    done = repair(path)
    assert (done.rows, done.lost) == (99, (problem,))
    assert done.damaged_file is not None
    assert os.path.exists(done.damaged_file)
    assert_sound(path, 99)
    others = np.delete(np.arange(100), 41)
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(
            store.read(SPACE.name, rows(0, 100)[0][others]), rows(0, 100)[1][others]
        )
        assert len(store.paths()) == 100
    fill(path, 100)
    assert_sound(path, 100)


def test_repair_drops_a_damaged_path(path):
    fill(path, 10, folder="/photos")
    damage(path, "paths/text", 3)
    with FeatureStore(path) as store, pytest.raises(StoreError, match="store repair"):
        store.paths()
    assert repair(path).lost == ("table of paths: 1 damaged entries",)
    with FeatureStore(path) as store:
        assert len(store.paths()) == 9


def test_a_store_whose_log_is_not_yet_in_place_is_sound(path):
    fill(path, 10, folder="/photos")
    with FeatureStore(path):
        fill(path, 2000, start=10, folder="/photos")
        assert os.path.getsize(f"{path}.wal0") + os.path.getsize(f"{path}.wal1") > 0
        assert_sound(path, 2010)
        assert repair(path).lost == ()


@pytest.mark.parametrize("dataset", [f"spaces/{SPACE.name}/embeddings", "paths/text"])
def test_what_is_said_of_damage_names_the_store_however_it_is_open(path, dataset):
    fill(path, 10, folder="/photos")
    damage(path, dataset, 3)
    with FeatureStore(path) as reader, FeatureStore(path, "a") as writer:
        for store in (reader, writer):
            with pytest.raises(StoreError, match=f"^{path}: .*damaged"):  # noqa: PT012
                store.paths()
                store.read(SPACE.name, store.keys(SPACE.name))


@settings(max_examples=25)
@given(st.floats(0, 1))
def test_a_store_that_was_cut_off_keeps_every_row_that_is_left(fraction):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.h5")
        fill(path, 400)
        os.truncate(path, int(fraction * os.path.getsize(path)))
        _assert_repairable(path, 400)


def test_a_store_without_its_last_tenth_keeps_most_rows(path):
    fill(path, 4000)
    os.truncate(path, os.path.getsize(path) * 9 // 10)
    assert verify(path).problems != ()
    done = repair(path)
    assert 2000 < done.rows < 4000
    assert_sound(path, done.rows)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
def test_no_flipped_bit_goes_unnoticed(flips):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.h5")
        shutil.copy(_sample(), path)
        with open(path, "r+b") as file:
            for where, bit in flips:
                at = int(where * os.path.getsize(path))
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ (1 << bit)]))
        _assert_repairable(path, 400)


SAMPLES: list[str] = []


def _sample():
    if not SAMPLES:
        folder = tempfile.mkdtemp()
        fill(os.path.join(folder, "features.h5"), 400, folder="/photos")
        SAMPLES.append(os.path.join(folder, "features.h5"))
    return SAMPLES[0]


def _assert_repairable(path, count):
    """Whatever comes out is right; or one line says that nothing can be saved."""
    keys, embeddings = rows(0, count)
    expected = {key.tobytes(): row for key, row in zip(keys, embeddings, strict=True)}
    try:
        done = repair(path)
    except StoreError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert done.rows == count or done.lost
    assert_sound(path, done.rows)
    with FeatureStore(path) as store:
        for space in store.spaces:
            held = store.keys(space.name)
            for key, row in zip(held, store.read(space.name, held), strict=True):
                np.testing.assert_array_equal(row, expected[key.tobytes()])


def test_prune_removes_what_is_gone_and_the_file_shrinks(path, tmp_path):
    fill(path, 2000, folder=tmp_path / "photos")
    touch(tmp_path / "photos", range(1024))
    with FeatureStore(path, "a") as store:
        store.record_scanned([str(tmp_path / "photos")])
        store.record_run(Run("2026", SPACE.name, 1, 1.0))
    done = prune(path)
    assert (done.rows, done.paths) == (976, 976)
    assert done.bytes_after < 0.75 * done.bytes_before
    assert os.path.getsize(path) == done.bytes_after
    assert sorted(os.listdir(tmp_path)) == ["features.h5", "features.h5.lock", "photos"]
    assert_sound(path, 1024)
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 1024)[0]), rows(0, 1024)[1])
        assert {e.path for e in store.paths()} == {entry(tmp_path / "photos", i).path for i in range(1024)}
        assert len(store.runs()) == 1
    fill(path, 2000)
    assert_sound(path, 2000)


@pytest.mark.parametrize("photos", ["missing", "empty"])
def test_prune_refuses_when_a_drive_may_only_be_offline(path, tmp_path, photos):
    """Report C4: an unmounted drive is not a deletion."""
    folder = tmp_path / "photos"
    fill(path, 10, folder=folder)
    with FeatureStore(path, "a") as store:
        store.record_scanned([str(folder)])
    if photos == "empty":
        folder.mkdir()
    with pytest.raises(StoreError, match="--force"):
        prune(path)
    assert_sound(path, 10)
    done = prune(path, force=True)
    assert (done.rows, done.paths) == (10, 10)
    assert_sound(path, 0)


@pytest.mark.parametrize("drive", ["missing", "empty"])
def test_prune_refuses_for_a_drive_that_holds_less_than_half_of_the_images(path, tmp_path, drive):
    fill(path, 20, folder=tmp_path / "photos")
    touch(tmp_path / "photos", range(20))
    fill(path, 5, start=20, folder=tmp_path / "drive")
    with FeatureStore(path, "a") as store:
        store.record_scanned([str(tmp_path / "photos"), str(tmp_path / "drive")])
    if drive == "empty":
        (tmp_path / "drive").mkdir()
    with pytest.raises(StoreError, match=r"drive.*--force"):
        prune(path)
    assert_sound(path, 25)
    assert prune(path, force=True).rows == 5


def test_prune_takes_deletions_in_one_folder_and_the_renaming_of_another_for_what_they_are(path, tmp_path):
    fill(path, 20, folder=tmp_path / "photos")
    fill(path, 5, start=20, folder=tmp_path / "old name")
    touch(tmp_path / "photos", range(3, 20))
    touch(tmp_path / "new name", range(20, 25))
    with FeatureStore(path, "a") as store:
        store.record_scanned(str(tmp_path / name) for name in ("photos", "old name", "new name"))
        store.record_paths(entry(tmp_path / "new name", i) for i in range(20, 25))
    done = prune(path)
    assert (done.rows, done.paths) == (3, 8)
    assert_sound(path, 22)


def test_a_reader_keeps_what_it_sees_when_the_store_is_pruned(path, tmp_path):
    fill(path, 10, folder=tmp_path / "photos")
    touch(tmp_path / "photos", range(10))
    with FeatureStore(path) as reader:
        prune(path)
        assert len(reader.read(SPACE.name, rows(0, 10)[0])) == 10


def test_merge_joins_spaces_and_takes_equal_keys_once(tmp_path):
    a, b, out = (str(tmp_path / name) for name in ("a.h5", "b.h5", "out.h5"))
    fill(a, 100, folder=tmp_path)
    fill(b, 100, start=50, folder=tmp_path)
    fill(b, 10, space=OTHER)
    with FeatureStore(b, "a") as store:
        store.record_paths([PathEntry("/x.jpg", 1, 2, 3, bytes(32))])
    with FeatureStore(a, "a") as store:
        store.record_paths([PathEntry("/x.jpg", 1, 2, 99, bytes(32))])
    done = merge([a, b], out)
    assert (done.rows, done.shared) == (160, 50)
    assert_sound(out, 160)
    with FeatureStore(out) as store:
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 150)[0]), rows(0, 150)[1])
        np.testing.assert_array_equal(store.read(OTHER.name, rows(0, 10)[0]), rows(0, 10)[1])
        assert len(store.paths()) == 151
        assert store.paths()[-1].read_ns == 99
    with pytest.raises(StoreError, match="exists already"):
        merge([a, b], out)


def test_merge_names_the_input_that_cannot_be_read(tmp_path):
    with pytest.raises(StoreError, match=f"cannot read {tmp_path}: is a folder"):
        merge([str(tmp_path)], str(tmp_path / "out.h5"))
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_merge_takes_the_latest_of_reading_and_failing(tmp_path, order):
    """An older failure is no reason to forget what was read later, nor a later one to keep what was read."""
    a, b, out = (str(tmp_path / f"{name}.h5") for name in ("a", "b", "out"))
    with FeatureStore(a, "a") as store:
        store.record_paths(PathEntry(f"/{name}.jpg", 5, 200, 300, bytes(32)) for name in ("x", "y", "z"))
    with FeatureStore(b, "a") as store:
        store.record_failures(
            [
                Failure("/x.jpg", "cut short", FailureCode.DAMAGED, 4, 100),
                Failure("/y.jpg", "cut short", FailureCode.DAMAGED, 4, 400),
                Failure("/z.jpg", "gave no answer within 60 s", FailureCode.TIMED_OUT),
            ]
        )
    merge([{"a": a, "b": b}[name] for name in order], out)
    with FeatureStore(out) as store:
        assert [e.path for e in store.paths()] == ["/x.jpg", "/z.jpg"]
        assert [f.path for f in store.failures()] == ["/y.jpg"]


def test_merge_refuses_stores_that_disagree_about_an_image(tmp_path):
    a, b, out = (str(tmp_path / name) for name in ("a.h5", "b.h5", "out.h5"))
    fill(a, 10)
    keys, embeddings = rows(0, 10)
    embeddings = embeddings * 1.001
    embeddings[4] += 1
    with FeatureStore(b, "a") as store:
        store.add_space(SPACE, DIMENSION)
        store.append(SPACE.name, keys, embeddings)
    with pytest.raises(StoreError, match=keys[4].tobytes().hex()):
        merge([a, b], out)
    assert not os.path.exists(out)


class Counted(SilentProgress):
    """A Progress that remembers how far each stage came."""

    def __init__(self):
        self.stages = []

    def begin(self, what, total=None):
        self.stages.append([what, total, 0])

    def advance(self, steps=1, *, failed=0):
        self.stages[-1][2] += steps

    def finished(self):
        """The steps of each stage; all were taken."""
        assert all(total == done for _, total, done in self.stages)
        return [done for _, _, done in self.stages]


def test_whoever_waits_is_told_how_far_it_is(path, tmp_path):
    fill(path, 600, folder=tmp_path / "photos")
    fill(path, 100, space=OTHER)
    touch(tmp_path / "photos", range(500))
    shutil.copy(path, tmp_path / "other.h5")

    def stages(command, *arguments, **options):
        progress = Counted()
        command(*arguments, progress=progress, **options)
        return progress.finished()

    assert stages(verify, path) == [600, 100]
    assert stages(merge, [path, str(tmp_path / "other.h5")], str(tmp_path / "out.h5")) == [700, 700]
    assert stages(prune, path) == [600, 600]
    damage(path, f"spaces/{SPACE.name}/embeddings", 3)
    assert stages(repair, path) == [500, 100, 500, 100]
