"""Where the command line lets networks look: the folders of Keras, and a cache of this user."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import imgcluster
from imgcluster.cli.places import Runner, network_places, ownership, thumbnail_folder
from imgcluster.networks.catalog import find_network
from imgcluster.networks.weights import locate
from imgcluster.records import SILENT

PACKAGE = Path(imgcluster.__file__).parent


def test_weights_are_shared_with_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert network_places().keras_home == "/home/somebody/.keras"
    monkeypatch.setenv("KERAS_HOME", "/data/keras")
    assert network_places().keras_home == "/data/keras"


def test_usual_weights_are_taken_for_the_networks_that_they_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def usual(setting: str, *networks: str) -> list[str]:
        monkeypatch.setenv("IMGCLUSTER_WEIGHTS", setting)
        return [network_places().usual_weights(find_network(network)) for network in networks]

    monkeypatch.setenv("HOME", str(tmp_path))
    published = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    published.touch()
    two = ("inception_v3", "vgg16")
    assert usual("", *two) == ["imagenet", "imagenet"]
    assert usual("random", *two) == ["random", "random"]
    assert usual("~/mine.h5", *two) == [str(tmp_path / "mine.h5"), "imagenet"]
    assert usual(f"~/{published.name}", *two) == ["imagenet", str(published)]
    assert usual(str(tmp_path), *two, "efficientnet_lite0") == ["imagenet", str(published), "imagenet"]


def test_usual_weights_do_not_count_where_some_are_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `assign` does, with those that the clustering was made with."""
    monkeypatch.setenv("IMGCLUSTER_WEIGHTS", "random")
    network = find_network("efficientnet_lite0")
    assert locate(network, places=network_places()).origin == "random"
    assert locate(network, "imagenet", places=network_places()).origin == "imagenet"


def test_caches_lie_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/data/cache")
    assert network_places().cache == "/data/cache/imgcluster"
    assert thumbnail_folder() == "/data/cache/imgcluster/thumbnails"


def test_a_user_without_a_home_leaves_no_folder_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user whom no passwd file knows, and no HOME."""
    for name in ("HOME", "KERAS_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    Runner(SILENT)
    places = network_places()
    for folder in (places.keras_home, places.cache, thumbnail_folder()):
        assert folder is not None
        assert folder.startswith("/nonexistent/")
    assert str(ownership()._folder).startswith("/nonexistent/")


def test_nothing_below_the_command_line_reads_the_environment() -> None:
    reads = re.compile(r"getenv|expanduser|expandvars|platformdirs|environ\.get\(|environ\[[^]]*\](?! = )")
    below = [file for file in PACKAGE.rglob("*.py") if PACKAGE / "cli" not in file.parents]
    found = [file for file in below if reads.search(file.read_text(encoding="utf-8"))]
    # options.py: `~` in a text, for the command line and Python; ray_session.py: what Ray itself is told by
    assert {file.name for file in found} <= {"options.py", "ray_session.py"}
