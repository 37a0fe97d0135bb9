"""The photographs and the store that most tests of workflows begin with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from clusterings import Desk, desk_with_photos


@pytest.fixture(scope="session")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs and their store: to be copied and not touched."""
    desk = desk_with_photos(tmp_path_factory.mktemp("extracted"))
    desk.extract()
    return desk.folder


@pytest.fixture(autouse=True)
def _plain_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have the map that is drawn sooner; t-SNE has tests of its own, and the README's commands."""
    monkeypatch.setitem(sys.modules, "openTSNE", None)


@pytest.fixture
def desk(tmp_path: Path, extracted: Path) -> Desk:
    """Photographs that a stand-in network embedded."""
    shutil.copytree(extracted, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)
