"""Every state that a crash between two system calls may leave opens by itself, with all committed rows."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from power_loss import RecordingOs, install, state_after
from store_helpers import DIMENSION, SPACE, assert_holds_batches, write_batch

from imgcluster.store.store import FeatureStore

BATCH = 5
FOLDER = "/photos"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two sessions of a writer, in the middle of which a reader stands in its way for a while."""
    path = str(tmp_path_factory.mktemp("recorded") / "features.h5")
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION)
    with open(path, "rb") as file:
        start = {path: file.read()}
    recorder = RecordingOs()
    with pytest.MonkeyPatch.context() as patch:
        install(patch, recorder)
        for session in (range(25), range(25, 40)):
            with FeatureStore(path, "a") as store:
                reader = None
                for number in session:
                    if number % 10 == 4:
                        reader = FeatureStore(path)
                    write_batch(store, number, BATCH, DIMENSION, FOLDER)
                    store.commit()
                    recorder.acknowledge(number + 1)
                    if number % 10 == 7 and reader:
                        reader.close()
    return start, recorder.operations


def failures(recording, folder, states: int, *, power_loss: bool, seed: int) -> Iterator[str]:
    start, operations = recording
    random_ = random.Random(seed)
    for number in range(states):
        files, acknowledged = state_after(start, operations, random_, power_loss=power_loss)
        place = folder / str(number)
        place.mkdir()
        for path, content in files.items():
            (place / os.path.basename(path)).write_bytes(content)
        path = str(place / "features.h5")
        try:
            held = assert_holds_batches(path, acknowledged, BATCH, DIMENSION, FOLDER)
            if number % 3 == 0:
                _continue_writing(path, held)
        except Exception as error:  # noqa: BLE001 - any at all is a failure, and is counted
            yield f"state {number}, {acknowledged} committed: {error!r}"


def _continue_writing(path: str, held: int) -> None:
    with FeatureStore(path, "a") as store:
        write_batch(store, held, BATCH, DIMENSION, FOLDER)
    assert assert_holds_batches(path, held + 1, BATCH, DIMENSION, FOLDER) == held + 1


def test_a_kill_between_any_two_calls_loses_nothing(recording, tmp_path):
    assert list(failures(recording, tmp_path, 30, power_loss=False, seed=1)) == []


def test_power_loss_loses_nothing(recording, tmp_path):
    assert list(failures(recording, tmp_path, 30, power_loss=True, seed=2)) == []


def test_without_the_log_s_sync_the_simulation_sees_losses(recording, tmp_path):
    start, operations = recording
    unsynced = [op for op in operations if op.kind != "sync" or op.path.endswith(".h5")]
    assert len(unsynced) < len(operations)
    assert any(failures((start, unsynced), tmp_path, 60, power_loss=True, seed=3))


@pytest.mark.long
@pytest.mark.parametrize("power_loss", [False, True])
def test_thousands_of_crashes_lose_nothing(recording, tmp_path, power_loss):
    assert list(failures(recording, tmp_path, 2000, power_loss=power_loss, seed=4)) == []
