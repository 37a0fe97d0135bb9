"""Where the command line lets networks look: the folders of Keras, and a cache of this user."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import imgcluster
from imgcluster.cli.places import network_places, thumbnail_folder

PACKAGE = Path(imgcluster.__file__).parent


def test_weights_are_shared_with_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert network_places().keras_home == "/home/somebody/.keras"
    monkeypatch.setenv("KERAS_HOME", "/data/keras")
    assert network_places().keras_home == "/data/keras"


def test_caches_lie_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/data/cache")
    assert network_places().cache == "/data/cache/imgcluster"
    assert thumbnail_folder() == "/data/cache/imgcluster/thumbnails"


def test_nothing_below_the_command_line_reads_the_environment() -> None:
    reads = re.compile(r"getenv|expanduser|expandvars|platformdirs|environ\.get\(|environ\[[^]]*\](?! = )")
    below = [file for file in PACKAGE.rglob("*.py") if PACKAGE / "cli" not in file.parents]
    found = [file for file in below if reads.search(file.read_text(encoding="utf-8"))]
    assert {file.name for file in found} <= {"api.py"}
