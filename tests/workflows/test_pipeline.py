"""How files become batches: which of them are read side by side, and when a batch is full."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dangerous_reading
import pytest
from fakes import FakeNetwork, FakeSource, write_images

from imgcluster.engines.local import LocalEngine
from imgcluster.images.decode import DecodeLimits
from imgcluster.records import ImageFile
from imgcluster.workflows import batch
from imgcluster.workflows.batch import KnownKeys
from imgcluster.workflows.batch_writer import BatchWriter
from imgcluster.workflows.pipeline import Pipeline, ReadImages
from imgcluster.workflows.read_image import ReadSettings, read_image

SETTINGS = ReadSettings(FakeSource().space.input_size, DecodeLimits(), timeout=30)


def image_files(folder: Path, count: int) -> list[ImageFile]:
    paths = write_images(folder, count, {"red": (200, 30, 30)})
    return [ImageFile(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def test_suspects_are_read_one_after_the_other(tmp_path: Path) -> None:
    """What took all memory once would take it four times as soon four at a time."""
    files = image_files(tmp_path, 2)
    read = ReadImages(SETTINGS, dangerous_reading.never_beside_another)
    batches = Pipeline(FakeSource(), read, LocalEngine(), KnownKeys()).run(files, [f.path for f in files])
    assert [failure.reason for batch in batches for failure in batch.failures] == []
    assert not os.path.exists(tmp_path / "red" / "busy")


def test_the_speed_of_a_long_run_is_told_at_once() -> None:
    """A million images are thirty thousand batches: none is compared with all the others."""
    writer = BatchWriter(*[None] * 7, cached=0, failures=[])  # type: ignore[arg-type]
    writer._batches = [(float(at), 32) for at in range(30_000)] + [(30_000.0, 5)]
    began = time.process_time()
    assert writer.images_per_second == 32
    assert time.process_time() - began < 1


@pytest.mark.parametrize("size", [3, 7])
def test_batches_are_filled_however_large_they_are(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_FILES_PER_BATCH", 2)
    network = FakeNetwork(batch_size=size)
    files = image_files(tmp_path, 2 * size)
    list(
        Pipeline(FakeSource(network), ReadImages(SETTINGS, read_image), LocalEngine(), KnownKeys()).run(files)
    )
    assert network.batches == [size, size]
