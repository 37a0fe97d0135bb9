"""What `sweep` promises."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from clusterings import IMAGES, Desk, pictures

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.workflows.options import SweepOptions
from imgcluster.workflows.sweep import SweepResult, sweep


def run(desk: Desk, *ks: int, paths: tuple[Path, ...] = (), plot: Path | None = None) -> SweepResult:
    clusters = str(desk.out) if desk.out.exists() else None
    options = SweepOptions(
        k=ks, store=desk.store, clusters=clusters, restarts=3, plot=str(plot) if plot else None
    )
    return sweep(paths, options, progress=desk.progress)


def test_it_suggests_the_number_of_colours_and_says_why(desk: Desk) -> None:
    result = run(desk, 2, 3, 4, 5)
    assert result.images == IMAGES
    assert [row.k for row in result.sweep.rows] == [2, 3, 4, 5]
    assert result.sweep.suggestion == 3
    assert result.sweep.rows[1].stability > 0.8  # half of so few images may lack a colour
    assert "halves agree" in result.sweep.reason


@pytest.mark.slow
def test_it_is_the_same_every_time_and_cluster_auto_takes_its_suggestion(desk: Desk) -> None:
    first, again = run(desk, *range(2, 13)), run(desk, *range(2, 13))
    assert str(first) == str(again)  # for a measure that is not defined does not equal itself
    assert desk.cluster(None).k == first.sweep.suggestion


def test_measures_of_one_cluster_and_of_as_many_as_images_are_not_defined(desk: Desk) -> None:
    one, all_apart = run(desk, 1, IMAGES).sweep.rows
    assert math.isnan(one.silhouette)
    assert math.isnan(one.stability)
    assert math.isnan(all_apart.stability)
    assert all_apart.inertia == pytest.approx(0, abs=1e-6)


def test_more_clusters_than_images_are_an_error(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match=f"{IMAGES + 1} clusters"):
        run(desk, 2, IMAGES + 1)


def test_paths_restrict_it_and_nothing_is_written(desk: Desk) -> None:
    before = sorted(desk.folder.rglob("*"))
    assert run(desk, 2, paths=(desk.photos / "red", desk.photos / "blue")).images == 10
    assert sorted(desk.folder.rglob("*")) == before


def test_the_name_of_a_plot_says_its_kind(desk: Desk) -> None:
    run(desk, 2, plot=desk.folder / "plot.svg")
    assert (desk.folder / "plot.svg").read_bytes().startswith(b"<?xml")


def test_moved_images_still_count(desk: Desk) -> None:
    desk.cluster(mode="move")
    assert run(desk, 3).images == IMAGES


@pytest.mark.slow
def test_a_plot_replaces_an_earlier_plot_and_no_photograph(desk: Desk) -> None:
    plot = desk.folder / "plot.png"
    for k in (2, 3):
        run(desk, k, plot=plot)
    photo = pictures(desk.photos)[0]
    before = photo.read_bytes()
    with pytest.raises(ImgclusterError, match="holds something else"):
        run(desk, 2, plot=photo)
    assert photo.read_bytes() == before


def test_a_plot_of_an_unknown_kind_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bmp"):
        run(Desk(tmp_path), 2, plot=tmp_path / "plot.bmp")


def test_contradicting_options_are_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="given twice"):
        sweep((), SweepOptions(store=desk.store, network=("fake", "fake")))


def test_a_plot_that_cannot_be_written_is_an_error_that_names_it(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match=r"cannot write .*nowhere.plot\.png: No such file"):
        run(desk, 2, plot=desk.folder / "nowhere" / "plot.png")
