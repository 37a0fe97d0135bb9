"""What `extract` promises, with a network that counts its batches."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import pytest
from fakes import FakeNetwork, FakeSource, write_image, write_images

from imgcluster.errors import FailureCode, ImgclusterError, Interrupted
from imgcluster.records import Failure, FeatureSpace, SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.cluster import ClusterOptions, cluster
from imgcluster.workflows.extract import ExtractOptions, ExtractResult, extract
from imgcluster.workflows.read_image import ReadImage, ReadSettings, read_image

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgcluster.records import Embeddings, ImageFile, Pixels

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 5, COLOURS)
    backdate(tmp_path / "photos")
    return tmp_path / "photos"


def backdate(folder: Path) -> None:
    """Files that were made just now are not trusted by their time; these were made long ago."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(10**18, 10**18))


def run(photos: Path, source: FakeSource | None = None, **options: object) -> ExtractResult:
    store = str(photos.parent / "features.h5")
    return extract([photos], ExtractOptions(store=store, **options), source=source or FakeSource())  # type: ignore[arg-type]


def test_every_image_is_embedded_in_full_batches(photos: Path) -> None:
    source = FakeSource()
    result = run(photos, source)
    assert (result.found, result.new, result.cached, result.duplicates, result.failed) == (10, 10, 0, 0, 0)
    assert sorted(source.network.batches) == [2, 4, 4]


def test_the_record_of_a_run_says_when_it_began(photos: Path) -> None:
    class Slow(FakeSource):
        loaded = ""

        def load(self) -> FakeNetwork:
            time.sleep(1.1)  # the record counts seconds
            self.loaded = datetime.now(UTC).isoformat(timespec="seconds")
            return super().load()

    source = Slow()
    run(photos, source)
    with FeatureStore(photos.parent / "features.h5") as store:
        (done,) = store.runs()
    assert (done.new, done.started < source.loaded) == (10, True)


def test_a_second_run_neither_loads_the_network_nor_reads_a_file(photos: Path) -> None:
    run(photos)
    for path in photos.rglob("*.png"):
        path.write_bytes(b"x" * path.stat().st_size)
    backdate(photos)
    source = FakeSource()
    result = run(photos, source)
    assert (result.cached, result.new, source.loads) == (10, 0, 0)


def test_a_changed_file_is_embedded_again(photos: Path) -> None:
    run(photos)
    write_image(photos / "red" / "red0.png", (30, 200, 30))
    source = FakeSource()
    result = run(photos, source)
    assert (result.new, result.cached, source.network.batches) == (1, 9, [1])


def test_a_renamed_file_is_not(photos: Path) -> None:
    run(photos)
    shutil.move(photos / "red", photos / "crimson")
    source = FakeSource()
    result = run(photos, source)
    assert (result.cached, result.new, source.loads) == (10, 0, 0)


def test_equal_files_go_through_the_network_once(photos: Path) -> None:
    shutil.copytree(photos / "red", photos / "copies")
    source = FakeSource()
    result = run(photos, source)
    assert (result.found, result.new, result.duplicates) == (15, 10, 5)
    assert sum(source.network.batches) == 10


def test_an_edit_within_the_clocks_granularity_is_noticed(photos: Path) -> None:
    path = write_image(photos / "red" / "red0.png", (200, 30, 30), side=24)
    before = path.stat()
    run(photos)
    write_image(path, (30, 200, 30), side=24)
    data = path.read_bytes()
    path.write_bytes(data[: before.st_size].ljust(before.st_size, b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    source = FakeSource()
    assert run(photos, source).new == 1


def test_a_broken_file_is_tried_again_when_it_was_repaired_and_not_before(photos: Path) -> None:
    broken = photos / "red" / "red0.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60])
    backdate(photos)
    assert run(photos).failed == 1
    source = FakeSource()
    assert run(photos, source).failed == 1
    assert source.loads == 0
    broken.write_bytes(whole)
    result = run(photos, source)
    assert (result.failed, result.new) == (0, 1)


def test_an_empty_file_is_always_tried_again(photos: Path) -> None:
    (photos / "red" / "red0.png").write_bytes(b"")
    backdate(photos)
    assert run(photos).failed == 1
    whole = (photos / "red" / "red1.png").read_bytes()
    (photos / "red" / "red0.png").write_bytes(whole)
    assert run(photos).failed == 0


def entries_of(photos: Path, table: str) -> int:
    with h5py.File(photos.parent / "features.h5") as file:
        return len(file[table]["entries"])


def known_failures(photos: Path) -> list[str]:
    with FeatureStore(photos.parent / "features.h5") as store:
        return [failure.path for failure in store.failures()]


def test_what_fails_in_the_same_way_is_recorded_once(photos: Path) -> None:
    (photos / "dangling.png").symlink_to("nowhere.png")
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.png").write_bytes(b"no image at all")
    backdate(photos)
    for _ in range(3):
        assert run(photos).failed == 3
    assert entries_of(photos, "failures") == 3


def test_failures_of_files_that_are_gone_or_fail_no_more_are_settled_below_what_is_scanned(
    photos: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "text.png").write_bytes(b"no image at all")
    for name in ("dangling.png", "mended.png"):
        (photos / name).symlink_to("nowhere.png")
    (photos / "gone.png").write_bytes(b"no image at all")
    for folder in (photos, elsewhere):
        store = str(tmp_path / "features.h5")
        write_image(folder / "sound.png", (1, 2, 3))
        extract([folder], ExtractOptions(store=store), source=FakeSource())
    assert len(known_failures(photos)) == 4
    (photos / "gone.png").unlink()
    (photos / "mended.png").unlink()
    (photos / "mended.png").symlink_to("sound.png")
    run(photos)
    assert known_failures(photos) == [str(elsewhere / "text.png"), str(photos / "dangling.png")]


def test_a_file_that_fails_with_one_network_only_is_not_read_again_on_every_run(photos: Path) -> None:
    """Such as one cut short, embedded with --accept-truncated by the first."""
    path = write_image(photos / "red" / "cut short.jpg", (200, 30, 30), side=64)
    path.write_bytes(path.read_bytes()[:-200])
    backdate(photos)
    other = FakeSource(FakeNetwork(), FeatureSpace("fake", "11" * 32, 16))
    assert run(photos, accept_truncated=True).failed == 0
    reads: list[str] = []

    def reading(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
        reads.append(file.path)
        return read_image(file, known, settings)

    def again(source: FakeSource) -> int:
        reads.clear()
        options = ExtractOptions(store=str(photos.parent / "features.h5"))
        return extract([photos], options, source=source, reading=reading).failed

    assert (again(other), len(reads)) == (1, 11)
    for source, failed in ((other, 1), (FakeSource(), 0), (other, 1)):
        assert (again(source), reads) == (failed, [])
    assert run(photos, other, accept_truncated=True).new == 1
    assert known_failures(photos) == []


def test_a_failure_that_passed_without_the_file_changing_is_settled(photos: Path) -> None:
    run(photos)
    with FeatureStore(photos.parent / "features.h5", "a") as store:
        store.record_failures(
            [Failure(str(photos / "red" / "red0.png"), "an I/O error", FailureCode.IO_ERROR)]
        )
    assert run(photos).failed == 0
    assert known_failures(photos) == []


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("a fault of ours")])
def test_what_is_no_fault_of_the_file_is_tried_again_by_the_next_run(photos: Path, error: Exception) -> None:
    def reading(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
        if file.path.endswith("red0.png"):
            raise error
        return read_image(file, known, settings)

    options = ExtractOptions(store=str(photos.parent / "features.h5"))
    assert extract([photos], options, source=FakeSource(), reading=reading).failed == 1
    again = run(photos)
    assert (again.failed, again.new) == (0, 1)


def test_a_folder_that_cluster_made_is_left_out_and_the_message_says_so(photos: Path) -> None:
    run(photos)
    out = photos.parent / "clusters"
    cluster((), ClusterOptions(store=str(photos.parent / "features.h5"), out=str(out)))
    for folder in (out, photos.parent / "only clusters"):
        folder.mkdir(exist_ok=True)
        if folder != out:
            out.rename(folder / "clusters")
        with pytest.raises(ImgclusterError, match="that `cluster` made"):
            run(folder)


def test_failed_files_are_tried_again_on_demand(photos: Path) -> None:
    (photos / "red" / "red0.png").write_bytes(b"no image at all")
    backdate(photos)
    run(photos)
    result = run(photos, retry_failed=True)
    assert result.failed == 1
    assert "red0.png" in result.failures[0].path


def test_two_feature_spaces_share_a_store_and_never_mix(photos: Path) -> None:
    run(photos)
    other = FakeSource(FakeNetwork(), FeatureSpace("fake", "11" * 32, 16))
    result = run(photos, other)
    assert result.new == 10
    with FeatureStore(photos.parent / "features.h5") as store:
        assert sorted(space.rows for space in store.spaces) == [10, 10]


def test_nothing_to_embed_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(ImgclusterError, match="no image found"):
        run(tmp_path / "photos")
    assert not (tmp_path / "features.h5").exists()


def test_only_broken_files_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"text")
    with pytest.raises(ImgclusterError, match="nothing could be read: "):
        run(tmp_path / "photos")


def test_stopping_keeps_what_is_finished_and_the_next_run_goes_on(tmp_path: Path) -> None:
    class StopAfterFirstBatch(SilentProgress):
        stopping = False
        stage = ""

        def begin(self, what: str, total: int | None = None) -> None:
            self.stage = what

        def advance(self, steps: int = 1, *, failed: int = 0) -> None:
            self.stopping = self.stage == "embedding"

    photos = tmp_path / "photos"
    write_images(photos, 20, COLOURS)
    store = str(tmp_path / "features.h5")
    with pytest.raises(Interrupted, match="kept"):
        extract([photos], ExtractOptions(store=store), source=FakeSource(), progress=StopAfterFirstBatch())
    result = run(photos)
    assert 0 < result.new < 40
    assert result.new + result.cached == 40


class Embedding(SilentProgress):
    """Calls `after_batch` each time a batch was committed."""

    stopping = False
    stage = ""

    def begin(self, what: str, total: int | None = None) -> None:
        self.stage = what

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        if self.stage == "embedding":
            self.after_batch()

    def after_batch(self) -> None:
        raise NotImplementedError


def test_every_batch_that_was_finished_when_it_was_stopped_is_kept(tmp_path: Path) -> None:
    class Network(FakeNetwork):
        finished = 0

        def embed(self, pixels: Pixels) -> Embeddings:
            embeddings = super().embed(pixels)
            self.finished += 1
            return embeddings

    class StopWhenAhead(Embedding):
        finished = 0

        def after_batch(self) -> None:
            if self.stopping:
                return
            deadline = time.monotonic() + 1
            while network.finished < 5 and time.monotonic() < deadline:  # one kept, at most four in flight
                time.sleep(0.01)
            self.finished = network.finished
            self.stopping = True

    network, progress = Network(), StopWhenAhead()
    photos = tmp_path / "photos"
    write_images(photos, 20, COLOURS)
    store = str(tmp_path / "features.h5")
    with pytest.raises(Interrupted, match="new embeddings kept"):
        extract([photos], ExtractOptions(store=store), source=FakeSource(network), progress=progress)
    with FeatureStore(store) as opened:
        assert opened.find_space().rows >= 4 * progress.finished > 0


def test_a_batch_is_kept_although_a_file_of_the_next_one_gives_no_answer(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_images(photos, 3, COLOURS)
    kept = threading.Event()

    def reading(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
        if file.path.endswith("red2.png"):  # the last
            assert kept.wait(10)
        return read_image(file, known, settings)

    class Kept(Embedding):
        def after_batch(self) -> None:
            kept.set()

    options = ExtractOptions(store=str(tmp_path / "features.h5"))
    assert extract([photos], options, source=FakeSource(), progress=Kept(), reading=reading).new == 6


def test_a_table_of_failures_is_checked_before_the_work_and_replaced_after_it(photos: Path) -> None:
    table, source = photos.parent / "failed.csv", FakeSource()
    for other in (photos / "red" / "red0.png", photos / "nowhere" / "failed.csv"):
        with pytest.raises(ImgclusterError, match=str(other)):
            run(photos, source, failures=str(other))
    assert source.network.batches == []
    table.write_text("path,reason\nearlier,one\n")

    class Stopped(SilentProgress):
        def begin(self, what: str, total: int | None = None) -> None:
            raise KeyboardInterrupt

    options = ExtractOptions(store=str(photos.parent / "features.h5"), failures=str(table))
    with pytest.raises(KeyboardInterrupt):
        extract([photos], options, source=source, progress=Stopped())
    assert "earlier" in table.read_text()
    run(photos, source, failures=str(table))
    assert table.read_text().splitlines() == ["path,reason"]


def test_a_size_that_no_store_can_keep_is_refused_and_recorded(photos: Path) -> None:
    """Headers may state anything: 18 trillion megapixels here."""
    side = 2**32 - 1
    size = struct.pack(">HHIIIIIIIIH", 41, 0, side, side, 0, 0, side, side, 0, 0, 3)
    (photos / "huge.j2k").write_bytes(b"\xff\x4f\xff\x51" + size + bytes(9) + b"\xff\xd9")
    backdate(photos)
    for new in (10, 0):
        result = run(photos)
        assert (result.new, result.failed) == (new, 1)
        assert f"{side} x {side} pixels are more than the limit" in result.failures[0].reason
