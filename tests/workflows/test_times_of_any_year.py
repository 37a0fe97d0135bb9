"""Files of recovered disks and of shares without a clock: their times lie outside of what 64 bits can say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusterings import Desk, desk_with_photos
from fakes import FakeSource

from imgcluster.workflows.assign import AssignOptions, assign
from imgcluster.workflows.extract import ExtractOptions, ExtractResult, extract
from imgcluster.workflows.options import ReadStoreOptions
from imgcluster.workflows.store import info, verify

SECONDS = {1601: -11_644_473_600, 1969: -1000, 2300: 10_413_792_000, 2600: 20_000_000_000}


@pytest.fixture(params=SECONDS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no file system is known that keeps times of any year")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        desk = desk_with_photos(Path(folder), 2)
        (desk.photos / "no image.jpg").write_bytes(b"Dear diary")
        for path in desk.photos.rglob("*.*"):
            os.utime(path, ns=(SECONDS[request.param] * 10**9,) * 2)
        if path.stat().st_mtime_ns != SECONDS[request.param] * 10**9:
            pytest.skip("this file system does not keep times of any year")
        yield desk


def run(desk: Desk) -> ExtractResult:
    return extract([desk.photos], ExtractOptions(store=desk.store), source=FakeSource())


def test_their_files_are_embedded_once_and_every_command_goes_on(desk: Desk) -> None:
    first, second = run(desk), run(desk)
    assert (first.new, first.failed, second.new, second.cached, second.failed) == (6, 1, 0, 6, 1)
    for mode in ("hardlink", "copy", "move"):
        result = desk.cluster(mode=mode, out=desk.folder / mode)
        assert (result.images, result.changed, result.missing) == (6, 0, 0)
    assert verify(ReadStoreOptions(store=desk.store)).problems == ()
    assert info(ReadStoreOptions(store=desk.store)).failures == 1
    assigned = assign([desk.folder / "copy" / "0"], AssignOptions(clusters=str(desk.folder / "copy")))
    assert assigned.new == 0
