"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the key that signs clusterings out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of test assets (photographs, weights, awkward files), or a skip where it is missing."""
    folder = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", Path(__file__).parents[2] / "shared"))
    if not (folder / "images").is_dir():
        pytest.skip(f"no test assets at {folder}; IMGCLUSTER_TEST_ASSETS names the folder")
    return folder
