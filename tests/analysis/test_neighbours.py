from __future__ import annotations

import resource

import numpy as np
import pytest
from analysis_data import ArraySource, keys_of, source_of
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.analysis import neighbours
from imgcluster.analysis.neighbours import Pair, groups, most_similar, near_duplicates


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


@pytest.mark.parametrize("held", [1 << 28, 4000])
def test_pairs_are_those_of_the_full_matrix(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_HELD_BYTES", held)
    monkeypatch.setattr(neighbours, "_ROWS", 16)
    rows = np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)
    rows[100:110] = rows[20:30]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.triu(unit @ unit.T, 1)
    expected = set(zip(*(index.tolist() for index in np.nonzero(cosines >= 0.8)), strict=True))
    found = near_duplicates(source_of(rows, block=37), 0.8)
    assert {(pair.first, pair.second) for pair in found} == expected
    assert len(found) == len(expected)
    assert [pair.cosine for pair in found] == sorted((pair.cosine for pair in found), reverse=True)


def test_nothing_has_no_duplicates() -> None:
    assert near_duplicates(source_of(np.zeros((0, 4), np.float32)), 0.9) == ()
    assert near_duplicates(source_of(np.zeros((3, 4), np.float32)), 0.9) == ()


def test_groups_join_through_a_third() -> None:
    pairs = [Pair(0, 3, 0.9), Pair(3, 5, 0.95), Pair(1, 2, 0.99)]
    assert groups(pairs, 6) == ((0, 3, 5), (1, 2))
    assert groups([], 4) == ()


def test_rows_that_were_judged_different_never_meet_not_even_through_a_third() -> None:
    pairs = [Pair(0, 1, 0.99), Pair(1, 2, 0.98), Pair(0, 2, 0.97)]
    assert groups(pairs, 3, cannot_link=[(2, 0)]) == ((0, 1),)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.floats(0.5, 1)), max_size=25),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=6),
)
def test_groups_are_disjoint_and_respect_every_decision(
    rows: list[tuple[int, int, float]], apart: list[tuple[int, int]]
) -> None:
    pairs = [Pair(min(a, b), max(a, b), cosine) for a, b, cosine in rows if a != b]
    apart = [(a, b) for a, b in apart if a != b]
    found = groups(pairs, 9, apart)
    members = [row for group in found for row in group]
    assert len(members) == len(set(members))
    assert all(not {a, b} <= set(group) for a, b in apart for group in found)


@pytest.mark.slow
def test_fifty_thousand_wide_rows_need_no_matrix_of_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(50_000, 2048)).astype(np.float32)
    rows[49_000:49_010] = rows[:10]
    source = source_of(rows, block=8192)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = near_duplicates(source, 0.9)
    assert [(pair.first, pair.second) for pair in sorted(found)] == [(i, 49_000 + i) for i in range(10)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000  # kB
