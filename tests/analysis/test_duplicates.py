from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.analysis.duplicates import DuplicateFile, duplicate_groups, plan_group
from imgcluster.analysis.neighbours import Pair


def copy(path: str, key: int = 0, pixels: int = 100, size: int = 10, mtime_ns: int = 5) -> DuplicateFile:
    return DuplicateFile(path, bytes([key]) * 32, pixels, size, mtime_ns)


KEYS = [bytes([number]) * 32 for number in range(4)]

copies = st.lists(
    st.builds(copy, st.text(min_size=1), st.integers(0, 3), *[st.integers(1, 3)] * 3),
    min_size=1,
    max_size=6,
    unique_by=lambda found: found.path,
)


@pytest.mark.parametrize(
    "better",
    [
        copy("z", pixels=101, size=1, mtime_ns=9),
        copy("z", size=11, mtime_ns=9),
        copy("z", mtime_ns=4),
        copy("a"),
    ],
)
def test_pixels_then_bytes_then_the_oldest_then_the_path(better: DuplicateFile) -> None:
    assert plan_group([copy("b"), better]).keep == better
    assert plan_group([better, copy("b")]).keep == better


@given(copies)
def test_one_is_always_kept_and_the_choice_does_not_depend_on_the_order(group: list[DuplicateFile]) -> None:
    plan = plan_group(group)
    assert sorted([plan.keep, *plan.redundant], key=str) == sorted(group, key=str)
    assert plan.keep not in plan.redundant
    assert all(
        plan_group(list(order)) == plan for order in itertools.islice(itertools.permutations(group), 24)
    )


def test_nothing_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        plan_group([])


def test_equal_bytes_and_alike_rows_are_one_group() -> None:
    files = [copy("a", 0), copy("b", 0), copy("c", 1, pixels=200), copy("d", 2), copy("e", 3), copy("f", 3)]
    plans = duplicate_groups(files, KEYS, [Pair(0, 1, 0.97)])
    assert [(plan.keep.path, [other.path for other in plan.redundant]) for plan in plans] == [
        ("c", ["a", "b"]),
        ("e", ["f"]),
    ]


def test_a_pair_judged_different_does_not_come_back() -> None:
    files = [copy("a", 0), copy("b", 1), copy("c", 2)]
    pairs = [Pair(0, 1, 0.99), Pair(1, 2, 0.98), Pair(0, 2, 0.97)]
    plans = duplicate_groups(files, KEYS, pairs, cannot_link=[(KEYS[2], KEYS[0]), (KEYS[0], b"unknown")])
    assert [{plan.keep.path, *(other.path for other in plan.redundant)} for plan in plans] == [{"a", "b"}]


def test_rows_without_a_file_are_left_out() -> None:
    assert duplicate_groups([copy("a", 0)], KEYS, [Pair(0, 1, 0.99)]) == ()


def test_paths_that_are_no_text_are_ordered_too() -> None:
    assert plan_group([copy("b"), copy("a\udcff")]).keep.path == "a\udcff"
