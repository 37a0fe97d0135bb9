"""Every row that is like another goes to one that is kept, however many rows there are."""

from __future__ import annotations

import resource

import numpy as np
import pytest
from analysis_data import Steps, blobs, source_of

from imgcluster.analysis import look_alikes as module
from imgcluster.analysis.look_alikes import Pair, look_alikes
from imgcluster.analysis.transforms import unit_length


def stars(rows: np.ndarray, threshold: float, block: int = 1 << 30, taken: list[int] = ()) -> list[Pair]:
    out = np.zeros(len(rows), bool)
    out[list(taken)] = True
    steps = Steps()
    found = look_alikes(source_of(rows, block), lambda some: unit_length(rows[some]), threshold, out, steps)
    assert steps.steps == steps.total
    seconds = [pair.second for pair in found]
    assert len(seconds) == len(set(seconds))
    assert not {pair.first for pair in found} & set(seconds)
    return found


def cosines_of(rows: np.ndarray) -> np.ndarray:
    unit = unit_length(rows)
    return unit @ unit.T


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ROWS", "_COLUMNS", "_COMPONENTS"):
        monkeypatch.setattr(module, name, 16)
    monkeypatch.setattr(module, "_CELL_ROWS", 50)
    monkeypatch.setattr(module, "_HELD_BYTES", 30 * 4 * 40)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("dimension", "cells"), [(8, 99), (40, 99), (8, 2), (40, 2)])
def test_every_row_goes_to_another_that_it_is_like(
    dimension: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEWEST_CELLS", cells)
    rows = blobs((60, 60, 30), dimension, spread=0.4)[0]
    cosines = cosines_of(rows)
    threshold = float(np.quantile(cosines, 0.97))
    found = stars(rows, threshold, 37, [3])
    assert len(found) > 20
    assert all(pair.cosine >= threshold and (pair.first < pair.second or cells == 2) for pair in found)
    assert [pair.cosine for pair in found] == pytest.approx([cosines[p.first, p.second] for p in found])
    left = sorted(set(range(150)) - {pair.second for pair in found} - {3})
    assert (np.triu(cosines[np.ix_(left, left)], 1) < threshold).all()


@pytest.mark.usefixtures("small_tiles")
def test_of_too_many_rows_those_of_neighbouring_cells_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COMPARED", 500)
    monkeypatch.setattr(module, "_CELLS_BESIDE", 4)
    random = np.random.default_rng(0)
    rows = blobs((400, 200, 100), 60, spread=0.5)[0]
    copies = np.abs(rows[:200] + random.normal(0, 0.05, (200, 60))).astype(np.float32)
    found = stars(np.concatenate([rows, copies]), 0.98)
    assert len(found) >= 196
    assert all({pair.first, pair.second} == {pair.first % 700, pair.first % 700 + 700} for pair in found)


@pytest.mark.parametrize("threshold", [0.3, 0.9, 0.9999])
def test_what_is_sorted_out_beforehand_is_not_alike(threshold: float) -> None:
    rows = blobs((100, 100), 300, spread=0.2)[0]
    rows[100:] = rows[:100] * (1 + np.random.default_rng(1).normal(0, 0.01, (100, 300))).astype(np.float32)
    cosines = cosines_of(rows)
    alike = set(zip(*np.nonzero(np.triu(cosines >= threshold + 1e-6, 1)), strict=True))
    numbers = module._few_numbers(source_of(rows), lambda some: unit_length(rows[some]), Steps())
    search = module._Search(numbers, np.arange(200), lambda _: rows[:0], threshold)
    places = np.arange(200)
    near = search._bounded(places) @ numbers.T >= 0
    assert all(near[pair] for pair in alike)


def test_what_is_taken_has_no_part_in_it() -> None:
    rows = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 0]], np.float32)
    assert [(pair.first, pair.second) for pair in stars(rows, 0.9)] == [(0, 1), (0, 2)]
    assert [(pair.first, pair.second) for pair in stars(rows, 0.9, taken=[0])] == [(1, 2)]
    assert stars(np.zeros((0, 4), np.float32), 0.9) == []


def test_a_thousand_alike_frames_are_one_star() -> None:
    rows = np.ones((3000, 100), np.float32) + np.random.default_rng(0).normal(0, 0.01, (3000, 100)).astype(
        np.float32
    )
    assert [pair.first for pair in stars(rows, 0.9)] == [0] * 2999


@pytest.mark.slow
def test_thirty_thousand_rows_need_no_matrix_of_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(30_000, 512)).astype(np.float32)
    rows[29_000:29_010] = rows[:10]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = stars(rows, 0.9, 8192)
    assert sorted(sorted(pair[:2]) for pair in found) == [[i, 29_000 + i] for i in range(10)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
