"""Networks that break, or give no numbers: the cause is a line, what was done is kept, and advice cures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from clusterings import Desk, desk_with_photos
from fakes import FakeNetwork, FakeSource, write_images
from in_process import answer, imgcluster

from imgcluster.records import Embeddings, Pixels
from imgcluster.workflows.options import ReadStoreOptions
from imgcluster.workflows.store import info, verify

CAUSE = "CUDA_ERROR_UNKNOWN: device lost"


class Breaking(FakeNetwork):
    """Breaks at one of its batches and does the other two, in whatever order threads bring them."""

    def __init__(self, breaks_at: int) -> None:
        super().__init__()
        self.breaks_at, self._begun = breaks_at, itertools.count()

    def embed(self, pixels: Pixels) -> Embeddings:
        if next(self._begun) == self.breaks_at:
            raise RuntimeError(f"{CAUSE}\n  at line 12")
        return super().embed(pixels)


class Unloadable(FakeSource):
    def load(self) -> FakeNetwork:
        raise RuntimeError(f"{CAUSE}\n  at line 12")


class Large(FakeNetwork):
    """Gives numbers that float16 does not hold."""

    def embed(self, pixels: Pixels) -> Embeddings:
        return super().embed(pixels) * np.float32(1000)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path)


def choose(monkeypatch: pytest.MonkeyPatch, source: FakeSource) -> None:
    monkeypatch.setattr("imgcluster.cli.places.choose_network", lambda *_: source)


@pytest.mark.parametrize(
    "source", [Unloadable(), FakeSource(Breaking(0)), FakeSource(Breaking(2))], ids=["load", "first", "third"]
)
def test_a_network_that_breaks_is_told_in_a_line_and_what_was_done_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, source: FakeSource
) -> None:
    choose(monkeypatch, FakeSource())
    answer("extract", "photos", cwd=desk.folder)
    write_images(desk.folder / "more", 6, {"grey": (90, 90, 90), "white": (250, 250, 250)})
    choose(monkeypatch, source)
    done = imgcluster("extract", "more", cwd=desk.folder)
    assert done.exit_code == 1
    assert sum(CAUSE in line for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.output
    assert verify(ReadStoreOptions(store=desk.store)).problems == ()
    done_by_network = sum(source.network.batches)
    assert info(ReadStoreOptions(store=desk.store)).spaces[0].rows == 15 + done_by_network
    choose(monkeypatch, FakeSource())
    done = answer("extract", "more", cwd=desk.folder)
    assert (done["new"], done["failed"]) == (12 - done_by_network, 0)


def test_the_advice_on_embeddings_that_are_no_numbers_cures(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were numbers, which the store's float16 does not hold."""
    choose(monkeypatch, FakeSource(Large()))
    answer("extract", "photos", "--dtype", "float16", cwd=desk.folder)
    image = "photos/red/red0.png"
    for command in (("cluster",), ("sweep",), ("duplicates",), ("similar", image)):
        done = imgcluster(*command, cwd=desk.folder)
        assert done.exit_code == 1, done.output
        assert "holds NaN or infinity: extract into another store with" in " ".join(done.stderr.split())
        assert "--dtype float32" in done.stderr
    other = ("--store", "other.h5")
    answer("extract", "photos", *other, "--precision", "float32", "--dtype", "float32", cwd=desk.folder)
    assert answer("cluster", "--k", "3", *other, cwd=desk.folder)["images"] == 15
    assert len(answer("similar", image, *other, cwd=desk.folder)["similar"]) > 0
