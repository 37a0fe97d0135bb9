"""Copies are compared with the one that is kept, by their pixels, and the best file of a picture is kept."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from analysis_data import Steps

from imgcluster.analysis.duplicates import DuplicateFile, Match, SamePictures, best_files, group_files, worth
from imgcluster.analysis.looks import Looks
from imgcluster.records import PICTURE, Pictures

KEYS = [bytes([number]) * 32 for number in range(5)]


def file(path: str, key: int = 0, **more: int) -> DuplicateFile:
    return DuplicateFile(path, KEYS[key], **{"pixels": 100, "size": 10, "mtime_ns": 5, **more})


def pictures(grey: np.ndarray, colour: int = 128) -> Pictures:
    made = np.zeros(len(grey), PICTURE)
    made["grey"], made["colour"] = np.clip(grey, 0, 255), colour
    return made


def scenes(count: int, seed: int = 0) -> np.ndarray:
    """Large shapes of light and dark, as photographs have them."""
    small = np.random.default_rng(seed).integers(20, 236, (count, 8, 8))
    return np.kron(small, np.ones((1, 4, 4), int))


def found(seen: Pictures, rows: np.ndarray | None = None, **options: object) -> list[Match]:
    rows = np.ones((len(seen), 1), np.float32) if rows is None else rows
    settings = {"threshold": 0.5, "apart": {}, "progress": Steps(), **options}
    return SamePictures(Looks(seen), lambda some: rows[some], **settings).find(np.arange(len(seen)))


def pairs(matches: list[Match]) -> list[tuple[int, int]]:
    return [(match.kept, match.copy) for match in matches]


@pytest.mark.parametrize(
    "better",
    [
        file("z", preferred=-1, pixels=1),
        file("z", camera=True, pixels=1),
        file("z", pixels=101, size=1, mtime_ns=9),
        file("z", size=11, mtime_ns=9),
        file("z", mtime_ns=4),
        file("a"),
    ],
)
def test_preference_camera_pixels_bytes_the_oldest_then_the_path(better: DuplicateFile) -> None:
    assert min([file("b"), better], key=worth) == better
    assert best_files([file("b"), better]) == [better]


def test_paths_that_are_no_text_are_ordered_too() -> None:
    assert best_files([file("b"), file("a\udcff")]) == [file("a\udcff")]


def test_equal_bytes_and_the_same_picture_are_one_group() -> None:
    files = [file("a"), file("b"), file("c", 1), file("d", 2), file("e", 3), file("f", 3), file("g", 1)]
    same = [Match(1, 0, "same picture", 0.97, 2.0)]
    groups = group_files(files, same, KEYS)
    assert [(group.keep.path, [(c.file.path, c.kind) for c in group.copies]) for group in groups] == [
        ("c", [("g", "equal"), ("a", "same picture"), ("b", "same picture")]),
        ("e", [("f", "equal")]),
    ]
    assert [(copy.cosine, copy.difference) for copy in groups[0].copies] == [(1, 0), (0.97, 2), (0.97, 2)]


def test_rows_without_a_file_are_left_out() -> None:
    assert group_files([file("a")], [Match(0, 1, "same picture", 1, 0)], KEYS) == ()
    assert group_files([file("a")], [Match(1, 0, "same picture", 1, 0)], KEYS) == ()


def test_small_changes_are_the_same_picture_and_others_are_not() -> None:
    shapes = scenes(2)
    noisy = shapes[0] + np.random.default_rng(1).integers(-4, 5, (32, 32))
    animal = shapes[0].copy()
    animal[10:13, 10:13] = 255 - animal[10:13, 10:13]
    matches = found(pictures(np.array([*shapes, noisy, animal])))
    assert pairs(matches) == [(0, 2)]
    assert 0 < matches[0].difference < 5


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_eight_orientations_of_a_picture_are_one(quarters: int, mirrored: bool) -> None:
    shape = scenes(1)[0]
    turned = np.rot90(shape[:, ::-1] if mirrored else shape, quarters)
    assert [match.difference for match in found(pictures(np.array([shape, turned])))] == [0]


def test_another_colour_is_another_picture() -> None:
    shape = scenes(1)
    assert found(np.concatenate([pictures(shape), pictures(shape, colour=160)])) == []


def test_pictures_with_nothing_in_them_have_to_be_equal() -> None:
    flat = np.full((3, 32, 32), 100)
    flat[2, :8] += 1
    assert pairs(found(pictures(flat))) == [(0, 1)]


def test_a_chain_is_no_group() -> None:
    shape = scenes(1)[0]
    drifting = pictures(np.array([shape + 5 * step for step in range(6)]))
    assert pairs(found(drifting)) == [(0, 1), (2, 3), (4, 5)]


def test_embeddings_that_contradict_the_pixels_are_heard() -> None:
    same = pictures(scenes(1)[[0, 0, 0]])
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    assert pairs(found(same, rows)) == [(0, 2)]
    assert [match.cosine for match in found(same, rows)] == pytest.approx([0.6])
    assert found(same, rows, threshold=0.9) == []


def test_pairs_judged_different_share_no_group_not_even_through_a_third() -> None:
    same = pictures(scenes(1)[[0, 0, 0, 0]])
    assert pairs(found(same, apart={0: {1}, 1: {0}})) == [(0, 2), (0, 3)]
    assert pairs(found(same, apart={1: {2}, 2: {1}})) == [(0, 1), (0, 3)]


@pytest.mark.parametrize("noise", [0, 2, 4, 6, 8, 12])
def test_what_is_sorted_out_beforehand_would_not_have_been_a_copy(noise: int) -> None:
    shapes = scenes(12, noise)
    random = np.random.default_rng(noise)
    seen = pictures(np.concatenate([shapes, shapes[:, ::-1] + random.normal(0, noise, shapes.shape)]))
    looks, rows = Looks(seen), np.arange(len(seen))
    possible = looks.may_be_alike(rows, rows)
    for row in rows:
        assert possible[row, looks.differences(row, rows) <= looks.limits[row]].all()
    assert possible.sum() < len(seen) ** 2


def test_memory_does_not_grow_with_the_pairs_of_alike_frames() -> None:
    frames = pictures(np.repeat(scenes(1), 3000, axis=0))
    tracemalloc.start()
    try:
        assert len(found(frames)) == 2999
        assert tracemalloc.get_traced_memory()[1] < 20 * 3000**2  # bytes: a pair of Python numbers has 64
    finally:
        tracemalloc.stop()


def test_across_tiles_everything_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcluster.analysis.duplicates._ROWS", 4)
    monkeypatch.setattr("imgcluster.analysis.duplicates._COLUMNS", 8)
    shapes = scenes(21)
    steps = Steps()
    matches = found(pictures(np.concatenate([shapes, shapes])), progress=steps)
    assert sorted(pairs(matches)) == [(row, row + 21) for row in range(21)]
    assert steps.steps == steps.total == 42 * 43 // 2
