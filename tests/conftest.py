"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from imgcluster.machine import cores

# Tests run side by side: a thread of OpenMP that waits for another is not to keep a core busy meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Every run tries the same examples, however slow the machine; new ones are for `make attack` and `make fuzz`.
settings.register_profile(
    "tests", derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the key that signs clusterings out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`, one process has all tests of a room: they share what takes long to make."""
    for item in items:
        room = item.path.relative_to(Path(__file__).parent).parts[0]
        item.add_marker(pytest.mark.xdist_group(room))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: some tests wait, for a server that hangs or for a disk."""
    return 3 * cores() // 2 or 1


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Have Ctrl-C reach the tests and their children, also where a shell started them in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of test assets (photographs, weights, awkward files), or a skip where it is missing."""
    folder = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", Path(__file__).parents[2] / "shared"))
    if not (folder / "images").is_dir():
        pytest.skip(f"no test assets at {folder}; IMGCLUSTER_TEST_ASSETS names the folder")
    return folder
