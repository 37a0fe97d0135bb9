from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgcluster.store.in_flight import InFlight

DIES = """
import os, sys
from imgcluster.store.in_flight import InFlight

watch = InFlight(sys.argv[1])
for name in ("done", "killer", "odd\\udcff\\nname"):
    watch.start("/" + name)
watch.finish("/done")
os._exit(1)
"""


def die(store) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(store)], check=False)


def test_what_was_in_flight_is_known_after_the_process_died(tmp_path):
    die(tmp_path / "features.h5")
    with InFlight(tmp_path / "features.h5") as watch:
        assert watch.suspects == {"/killer", "/odd\udcff\nname"}


def test_nothing_is_left_when_all_came_back(tmp_path):
    with InFlight(tmp_path / "features.h5") as watch:
        assert watch.suspects == frozenset()
        for name in "abc":
            watch.start(name)
        watch.finish("b")
    assert os.listdir(tmp_path) == []


def test_a_suspect_stays_one_until_it_is_settled_even_if_the_next_process_dies(tmp_path):
    store = tmp_path / "features.h5"
    die(store)
    die(store)
    with InFlight(store) as watch:
        watch.start("/killer")
        watch.finish("/killer")
    with InFlight(store) as watch:
        assert "/killer" in watch.suspects
        watch.settle(watch.suspects)
    assert os.listdir(tmp_path) == []


def test_slots_are_used_again(tmp_path):
    with InFlight(tmp_path / "features.h5") as watch:
        watch.start("stays")
        for number in range(100):
            watch.start(f"{number}")
            watch.finish(f"{number}")
        assert os.path.getsize(watch.path) == 2 * 4096


def test_no_two_files_share_a_slot_after_a_death_that_left_gaps(tmp_path):
    store = tmp_path / "features.h5"
    names = [f"/{number}" for number in range(6)]
    with InFlight(store) as watch:
        for name in names:
            watch.start(name)
        for name in names[:-1]:
            watch.finish(name)
        gaps = Path(watch.path).read_bytes()
    Path(f"{store}.inflight").write_bytes(gaps)
    with InFlight(store) as watch:
        assert watch.suspects == {names[-1]}
        started = {f"/new{number}" for number in range(20)}
        for name in started:
            watch.start(name)
        left = Path(watch.path).read_bytes()
    Path(f"{store}.inflight").write_bytes(left)
    with InFlight(store) as watch:
        assert watch.suspects == {names[-1], *started}


def test_a_thread_that_comes_back_after_the_end_changes_nothing(tmp_path):
    with InFlight(tmp_path / "features.h5") as watch:
        watch.start("slow")
    watch.finish("slow")
    watch.start("late")
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_gone_at_the_end_is_no_reason_to_fail(tmp_path):
    with InFlight(tmp_path / "features.h5") as watch:
        os.unlink(watch.path)


def test_a_folder_in_its_place_is_not_removed(tmp_path):
    watch = InFlight(tmp_path / "features.h5")
    os.unlink(watch.path)
    os.makedirs(f"{watch.path}/mine")
    with pytest.raises(IsADirectoryError):
        watch.close()
    assert os.listdir(watch.path) == ["mine"]
