"""Views are many, different, and the same every time."""

from __future__ import annotations

import numpy as np
import picture_files as files

from imgcluster.images.views import views


def test_the_same_seed_gives_the_same_views_however_many_are_taken():
    picture = files.photograph()
    ten = list(views(picture, 10, seed=3))
    twenty = list(views(picture, 20, seed=3))
    assert all((one == other).all() for one, other in zip(ten, twenty, strict=False))


def test_seeds_and_numbers_make_different_views():
    picture = files.photograph()
    taken = [*views(picture, 6, seed=0), *views(picture, 6, seed=1)]
    assert len({view.tobytes() for view in taken}) == 12


def test_views_are_images_and_half_of_them_grey():
    taken = list(views(files.photograph(), 8, seed=0))
    grey = [
        bool((view[..., 0] == view[..., 1]).all() and (view[..., 1] == view[..., 2]).all()) for view in taken
    ]
    assert grey == [False, True] * 4
    for view in taken:
        assert view.dtype == np.uint8
        assert view.flags.c_contiguous
        assert 0.6 * 300 - 1 <= view.shape[0] <= 300
        assert 0.6 * 400 - 1 <= view.shape[1] <= 400


def test_the_picture_itself_is_left_alone():
    picture = files.photograph()
    before = picture.copy()
    list(views(picture, 4, seed=0))
    assert (picture == before).all()


def test_a_single_pixel_has_views():
    assert [view.shape for view in views(np.zeros((1, 1, 3), np.uint8), 2, seed=0)] == [(1, 1, 3)] * 2
