"""What the functions of the package promise: what the commands do, under the names of their options."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import pickle
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import pytest
from fakes import FakeSource, write_image, write_images
from option_tables import commands

import imgcluster
from imgcluster import api
from imgcluster.cli.command import as_command
from imgcluster.errors import MissingExtra, UsageError
from imgcluster.machine import default_memory
from imgcluster.options import Named
from imgcluster.records import FeatureSpace
from imgcluster.workflows import cluster as clustering
from imgcluster.workflows import report as reporting
from imgcluster.workflows.options import ClusterOptions

FUNCTIONS = sorted({*imgcluster.__all__} - {"FeatureStore", "ImgclusterError", "network"})
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
ONLY_ON_THE_COMMAND_LINE = {
    "extract": {"strict", "strict_new"},  # exit codes; here failures are in the result
    "cluster": {"report"},  # a function of its own
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with extracted photographs, in which relative names are meant."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "openTSNE", None)  # the other map is drawn sooner
    write_images(tmp_path / "photos", 5, COLOURS)
    imgcluster.extract("photos", source=FakeSource(), store=tmp_path / "features.h5", no_lock=True)
    return tmp_path


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_of_a_command_is_a_keyword(name: str) -> None:
    of_store = name.startswith("store_")
    function = name.removeprefix("store_").removeprefix("list_")
    places = ["store"] if of_store else ["extract", "cluster", "clusterings", "images"]
    modules = [vars(importlib.import_module(f"imgcluster.cli.{place}")) for place in places]
    command = as_command(next(each[function] for each in modules if function in each))
    options = (
        set(inspect.signature(command).parameters)
        - {"json", "quiet", "log"}
        - ONLY_ON_THE_COMMAND_LINE.get(name, set())
    )
    assert options <= set(inspect.signature(getattr(api, name)).parameters)


def test_every_command_has_a_function_and_every_function_is_a_name_of_the_package() -> None:
    there = {name.replace(" ", "_").replace("-", "_") for name, _ in commands()}
    assert {name.removeprefix("list_") for name in FUNCTIONS} == there
    assert imgcluster.sweep is api.sweep
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = imgcluster.frobnicate  # type: ignore[attr-defined]


def test_help_shows_the_options_with_their_defaults() -> None:
    parameters = inspect.signature(api.cluster).parameters
    assert parameters["k"].default == 2
    assert parameters["no_lock"].default is False
    assert "lock" not in parameters
    assert "mode" not in inspect.signature(api.sweep).parameters


@pytest.mark.parametrize(
    ("name", "option", "taken"),
    [
        ("cluster", "k", int | str | None),
        ("cluster", "memory", int | str | None),
        ("cluster", "out", str | os.PathLike[str] | None),
        ("cluster", "force", bool),
        ("sweep", "k", int | str | Iterable[int | str]),
        ("contact_sheet", "cluster", int | str),
        ("extract", "network", str | Named | None),
        ("report", "clusters", str | os.PathLike[str]),
    ],
)
def test_help_shows_what_an_option_takes(name: str, option: str, taken: object) -> None:
    assert inspect.signature(getattr(imgcluster, name)).parameters[option].annotation == taken


def test_paths_come_one_by_one_or_in_a_list(here: Path) -> None:
    reds, greens = here / "photos" / "red", here / "photos" / "green"
    assert imgcluster.cluster([reds, greens], k=2, out=None).images == 10
    assert imgcluster.cluster(iter([reds]), greens, k=2, out=None).images == 10
    for wrong, says in (
        ([["photos"]], r"\['photos'\] is no path: give one after the other or in one list"),
        (5, "5 is no path"),
        ([], "there is no path in the list"),
    ):
        for function in (imgcluster.extract, imgcluster.cluster, imgcluster.assign):
            with pytest.raises(UsageError, match=says):
                function(wrong)


def test_a_result_stands_for_its_folder(here: Path) -> None:
    three = imgcluster.cluster(k=3)
    two = imgcluster.cluster(k=2)
    changed = imgcluster.diff(three, two)  # the folder holds the second alone
    assert len(changed.clusters) == 3
    assert changed.moved
    assert imgcluster.diff(two, "clusters").moved == ()
    assert {image.cluster for image in imgcluster.assign("photos", clusters=two).images} == {*two.labels}
    assert imgcluster.report(clusters=two).images == 15
    assert imgcluster.similar("photos/red/red0.png", top=2, clusters=two)
    nowhere = imgcluster.cluster(k=2, out=None)
    assert imgcluster.diff(nowhere, three).clusters
    for never_made in (nowhere, imgcluster.cluster(k=4, dry_run=True)):
        with pytest.raises(UsageError, match="lie in no folder"):
            imgcluster.report(clusters=never_made)
    with pytest.raises(UsageError, match=r"report\(\) takes its options by name, such as clusters="):
        imgcluster.report(two)
    with pytest.raises(UsageError, match="3 is neither labels by path nor one for each"):
        imgcluster.evaluate(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="by name: evaluate"):
        imgcluster.evaluate(two)
    with pytest.raises(TypeError, match=r"contact_sheet\(\) needs cluster="):
        imgcluster.contact_sheet()


def test_clusters_are_named_by_a_mapping_and_meant_by_numbers_and_names(here: Path) -> None:
    found = imgcluster.cluster(k=3)
    named = imgcluster.name({0: "cats", "2": "dogs"}, "1=birds")
    assert [cluster.name for cluster in named.clusters] == ["cats", "birds", "dogs"]
    for which in (found.labels[0], "cats", "0"):
        assert imgcluster.contact_sheet(cluster=which, out=here / "sheet.png") == 5
    with pytest.raises(UsageError, match="there are 0 cats, 1 birds, 2 dogs"):
        imgcluster.contact_sheet(cluster="cows", out=here / "sheet.png")
    assert len(imgcluster.merge(np.array(0), "dogs").clusters) == 2
    assert len(imgcluster.merge(np.array([0, 1])).clusters) == 1
    with pytest.raises(UsageError, match="is no name such as 0=cats"):
        imgcluster.name(5)


def test_a_report_is_of_what_stands(here: Path) -> None:
    imgcluster.cluster(k=3)
    page = Path(imgcluster.report().page)
    imgcluster.name({0: "cats"})
    assert "cats (0)" in page.read_text()
    imgcluster.merge("cats", 1)
    assert "2 clusters" in page.read_text()
    imgcluster.cluster(k=2, dry_run=True)
    imgcluster.undo()
    assert "3 clusters" in page.read_text()
    imgcluster.cluster(k=4)
    assert "4 clusters" in page.read_text()


def test_a_report_is_made_again_with_the_options_of_what_was_changed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imgcluster.cluster(k=3)
    imgcluster.report()
    seen, again = [], reporting.report_again
    noted = functools.wraps(again)(lambda *a, **more: seen.append(more) or again(*a, **more))
    monkeypatch.setattr(reporting, "report_again", noted)
    imgcluster.cluster(k=2, no_lock=True, wait=5)
    write_image(here / "photos" / "new.png", (200, 30, 30), noise=9)
    imgcluster.assign("photos/new.png", place=True, no_lock=True, source=FakeSource())
    assert [(each["no_lock"], each.get("wait")) for each in seen] == [(True, 5), (True, None)]


def test_the_store_is_looked_after_from_python(here: Path) -> None:
    assert imgcluster.store_info().spaces[0].rows == 15
    assert imgcluster.store_verify(progress=True).problems == ()
    (here / "photos" / "red" / "red0.png").unlink()
    told = imgcluster.store_prune(dry_run=True)
    assert (told.paths, told.rows, told.dry_run) == (1, 1, True)
    assert imgcluster.store_info().paths == 15
    assert imgcluster.store_prune().rows == 1
    assert imgcluster.store_info().paths == 14
    assert imgcluster.store_merge([Path("features.h5")], out="all.h5").rows == 14
    assert imgcluster.store_export(out="all.npz").rows == 14
    assert imgcluster.store_repair(store="all.h5").lost == ()
    assert {part.name for part in imgcluster.store_cache()} == {"thumbnails", "models"}
    assert imgcluster.list_networks()[0].name == "inception_v3"
    assert "efficientnet_lite2" in imgcluster.list_networks()._repr_html_()


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


def test_exit_codes_are_of_the_command_line_alone(here: Path) -> None:
    with pytest.raises(TypeError, match=r"extract\(\) has no option 'strict'"):
        imgcluster.extract("photos", strict=True)
    assert not {"strict", "report"} & set(inspect.signature(imgcluster.cluster).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_what_its_signature_says(name: str) -> None:
    function = getattr(imgcluster, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert (function.__module__, function.__qualname__) == ("imgcluster.api", name)
    signature = inspect.signature(function)
    assert f"Callable[..., {signature.return_annotation}]" == api.__annotations__[name]
    shown = typing.get_type_hints(function)
    assert shown.keys() == signature.parameters.keys()
    assert not shown.keys() & {"options", "run"}
    for word in ("`cluster --", "exit 1", "PATHS"):
        assert word not in function.__doc__


def test_a_signature_shows_what_comes_one_by_one_or_in_a_list() -> None:
    path = str | os.PathLike[str]
    for name, kind in (
        ("cluster", path),
        ("assign", path),
        ("merge", str | SupportsIndex),
        ("name", str | Mapping[int | str, str]),
    ):
        several = [
            each.annotation
            for each in inspect.signature(getattr(imgcluster, name)).parameters.values()
            if each.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        assert {*several} == {kind | Iterable[kind]}
    for name in ("assign", "compare", "store_merge", "merge", "name"):
        with pytest.raises(TypeError):
            inspect.signature(getattr(imgcluster, name)).bind()
        with pytest.raises(UsageError, match=rf"^{name}\(\) needs a "):
            getattr(imgcluster, name)(**({"out": "all.h5"} if name == "store_merge" else {}))
    assert inspect.signature(imgcluster.diff).parameters["first"].annotation == path
    assert inspect.signature(imgcluster.similar).parameters["image"].annotation == path


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: imgcluster.store_merge("x"), r"^store_merge\(\) needs out="),
        (
            lambda: imgcluster.store_cache(cleer=1),
            r"^store_cache\(\) has no option 'cleer' \(did you mean clear",
        ),
        (lambda: imgcluster.list_networks(x=1), r"^list_networks\(\) has no option 'x'$"),
        (
            lambda: imgcluster.evaluate(cluster=1),
            r"^evaluate\(\) has no option 'cluster' \(did you mean clusters",
        ),
        (lambda: imgcluster.cluster(paths=["x"]), r"^cluster\(\) has no option 'paths'"),
        (lambda: imgcluster.store_info(progress="x"), r"^progress='x' is no progress"),
        (lambda: imgcluster.evaluate("folders", "clusters"), r"^evaluate\(\) takes its options by name"),
    ],
)
def test_a_wrong_call_is_told_by_the_name_that_was_called(call: Callable[[], object], says: str) -> None:
    with pytest.raises((TypeError, UsageError), match=says):
        call()


def test_an_option_that_is_not_there_is_refused(here: Path) -> None:
    for option, says in (("frobnicate", "no option 'frobnicate'$"), ("K", r"'K' \(did you mean k\?\)")):
        with pytest.raises(TypeError, match=says):
            imgcluster.cluster(**{option: 3})


def test_the_memory_is_limited_as_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def see(paths: object, options: ClusterOptions) -> None:
        seen.append(options)
        raise UsageError("seen")

    monkeypatch.setattr(clustering, "cluster", see)
    for memory in (None, 10**6):
        with pytest.raises(UsageError, match="seen"):
            imgcluster.cluster(memory=memory)
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
    imgcluster.undo()
    assert not (here / "clusters").exists()
