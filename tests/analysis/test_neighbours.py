from __future__ import annotations

import resource

import numpy as np
import pytest
from analysis_data import ArraySource, Steps, keys_of, source_of

from imgcluster.analysis import neighbours
from imgcluster.analysis.neighbours import Pair, look_alikes, most_similar


def test_the_most_similar_rows_come_first_and_zero_rows_are_like_nothing() -> None:
    rows = np.array([[1, 0], [0, 0], [3, 4], [0, 2], [5, 0]], np.float32)
    source = source_of(rows, block=2)
    indices, cosines = most_similar(np.array([2, 0], np.float32), source, 3)
    assert set(indices[:2].tolist()) == {0, 4}
    assert indices[2] == 2
    assert cosines.tolist() == pytest.approx([1, 1, 0.6])
    assert len(most_similar(np.array([2, 0], np.float32), source, 99)[0]) == 5


def test_equally_similar_rows_are_ordered_by_key_whatever_their_order() -> None:
    source = ArraySource(keys_of(6), np.ones((6, 3), np.float32))
    order = np.array([3, 1, 5, 0, 2, 4])
    query = np.ones(3, np.float32)
    first = source.keys[most_similar(query, source, 4)[0]]
    shuffled = source.taken(order, block=4)
    assert np.array_equal(shuffled.keys[most_similar(query, shuffled, 4)[0]], first)


def stars(rows: np.ndarray, threshold: float, block: int = 1 << 30, taken: list[int] = ()) -> list[Pair]:
    out = np.zeros(len(rows), bool)
    out[list(taken)] = True
    steps = Steps()
    found = look_alikes(source_of(rows, block), threshold, out, steps)
    assert steps.steps == steps.total
    return found


@pytest.mark.parametrize("held", [1 << 28, 4000, 640])
def test_every_row_goes_to_an_earlier_one_that_it_is_like(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_HELD_BYTES", held)
    monkeypatch.setattr(neighbours, "_ROWS", 16)
    rows = np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    found = stars(rows, 0.8, 37, [3])
    firsts, seconds = {pair.first for pair in found}, [pair.second for pair in found]
    assert len(seconds) == len(set(seconds)) > 20
    assert not firsts & set(seconds)
    assert all(pair.first < pair.second and pair.cosine >= 0.8 for pair in found)
    assert [pair.cosine for pair in found] == pytest.approx([cosines[p.first, p.second] for p in found])
    left = sorted(set(range(150)) - set(seconds) - {3})
    assert (np.triu(cosines[np.ix_(left, left)], 1) < 0.8).all()


def test_what_is_taken_has_no_part_in_it() -> None:
    rows = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 0]], np.float32)
    assert [(pair.first, pair.second) for pair in stars(rows, 0.9)] == [(0, 1), (0, 2)]
    assert [(pair.first, pair.second) for pair in stars(rows, 0.9, taken=[0])] == [(1, 2)]
    assert stars(np.zeros((0, 4), np.float32), 0.9) == []


@pytest.mark.slow
def test_fifty_thousand_wide_rows_need_no_matrix_of_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(50_000, 2048)).astype(np.float32)
    rows[49_000:49_010] = rows[:10]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = stars(rows, 0.9, 8192)
    assert [(pair.first, pair.second) for pair in sorted(found)] == [(i, 49_000 + i) for i in range(10)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000  # kB
