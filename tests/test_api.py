"""What the functions of the package promise: what the commands do, under the names of their options."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import FakeSource, write_images

import imgcluster
from imgcluster import api
from imgcluster.cli.command import as_command
from imgcluster.errors import MissingExtra
from imgcluster.machine import default_memory
from imgcluster.records import FeatureSpace

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
ONLY_ON_THE_COMMAND_LINE = {
    "extract": {"strict", "strict_new"},  # exit codes; here failures are in the result
    "cluster": {"report"},  # a function of its own
    "networks": set[str](),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with extracted photographs, in which relative names are meant."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_images(tmp_path / "photos", 5, COLOURS)
    imgcluster.extract("photos", source=FakeSource(), store=tmp_path / "features.h5", no_lock=True)
    return tmp_path


@pytest.mark.parametrize("name", api.__all__)
def test_every_option_of_a_command_is_a_keyword(name: str) -> None:
    command = as_command(getattr(importlib.import_module(f"imgcluster.cli.{name}"), name))
    options = (
        set(inspect.signature(command).parameters)
        - {"json", "quiet", "log"}
        - ONLY_ON_THE_COMMAND_LINE.get(name, set())
    )
    assert options <= set(inspect.signature(getattr(api, name)).parameters)


def test_every_function_is_a_name_of_the_package_but_for_the_one_that_a_room_has() -> None:
    assert set(api.__all__) - set(imgcluster.__all__) == {"networks"}
    assert imgcluster.sweep is api.sweep
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = imgcluster.frobnicate  # type: ignore[attr-defined]


def test_help_shows_the_options_with_their_defaults() -> None:
    parameters = inspect.signature(api.cluster).parameters
    assert parameters["k"].default == 2
    assert parameters["no_lock"].default is False
    assert "lock" not in parameters
    assert "mode" not in inspect.signature(api.sweep).parameters


def test_a_network_is_a_name_or_several(here: Path) -> None:
    found = imgcluster.cluster(k=3, network="fake")
    assert (found.k, found.sizes) == (3, (5, 5, 5))
    other = FakeSource(space=FeatureSpace("other", "11" * 32, 16))
    imgcluster.extract("photos", source=other)
    assert imgcluster.cluster(k=3, network=["fake", "other"]).sizes == (5, 5, 5)


@pytest.mark.slow
def test_k_may_be_left_to_choose(here: Path) -> None:
    assert imgcluster.cluster("photos", k="auto", out=here / "sorted").k == 3
    assert imgcluster.sweep(k=range(2, 5)).sweep.suggestion == 3


def test_images_that_are_known_are_assigned_without_a_network(here: Path) -> None:
    imgcluster.cluster(k=3)
    found = imgcluster.assign("photos", weights=None, out=here / "assigned.csv")
    assert (len(found.images), found.new, found.failures) == (15, 0, ())
    assert (here / "assigned.csv").is_file()


def test_an_option_that_is_not_there_is_refused(here: Path) -> None:
    with pytest.raises(TypeError, match="frobnicate"):
        imgcluster.cluster(frobnicate=True)


def test_the_memory_is_limited_as_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(api.clustering, "cluster", lambda paths, options, **more: seen.append(options))
    imgcluster.cluster()
    imgcluster.cluster(memory=10**6)
    assert [options.memory for options in seen] == [default_memory(), 10**6]


@pytest.mark.parametrize("command", [imgcluster.sweep, imgcluster.duplicates])
def test_a_page_that_cannot_be_made_is_refused_before_the_long_work(
    command: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra):  # and not that there is no store
        command(report=True, store="none.h5")


def test_what_clusters_are_good_for(here: Path) -> None:
    imgcluster.cluster(k=3)
    assert imgcluster.evaluate("folders").accuracy == 1
    assert len(imgcluster.similar("photos/red/red0.png", top=4)) == 4
    assert imgcluster.duplicates(threshold=0.9999999).images == 15
    assert imgcluster.contact_sheet(cluster=0, out=here / "sheet.png") == 5
    assert Path(imgcluster.report().page).is_file()
    assert api.networks()[0].name == "inception_v3"
    imgcluster.undo()
    assert not (here / "clusters").exists()
