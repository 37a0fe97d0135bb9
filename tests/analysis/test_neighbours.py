from __future__ import annotations

import numpy as np
import pytest
from analysis_data import ArraySource, keys_of, source_of

from imgcluster.analysis.neighbours import most_similar


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
