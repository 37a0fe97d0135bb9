"""Ctrl-C in fresh processes: how soon it is answered, what is kept, what is left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeNetwork, FakeSource, write_images
from in_process import answer, imgcluster

from imgcluster.cli import places
from imgcluster.records import Embeddings, Pixels

TESTS = Path(__file__).parents[1]


class Command:
    """A running command on a machine where something is slow."""

    def __init__(self, folder: Path, slow: str, *arguments: str) -> None:
        self.log, self._start = folder / f"{time.monotonic_ns()}.log", time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "cli" / "slow_commands.py"), slow, str(self.log), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def reach(self, steps: int) -> Command:
        deadline = time.monotonic() + 60
        while not self.log.exists() or len(self.log.read_text().splitlines()) < steps:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.soon = 2 + time.monotonic() - self._start
        """A second, one more where other tests run, and as much as a slow machine took to get so far."""
        return self

    def send(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str, float]:
        """Exit status, stdout, stderr and how long it took."""
        start = time.monotonic()
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err, time.monotonic() - start


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of `slow_commands` for what runs in this process."""
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_finished_is_kept_and_the_next_run_goes_on(tmp_path: Path, number: int) -> None:
    write_images(tmp_path / "photos", 100, {"red": (200, 30, 30)})
    command = Command(tmp_path, "network", "extract", "photos", "--json").reach(6)
    command.send(number)
    status, out, err, seconds = command.end()
    assert status == 130, err
    assert seconds < command.soon
    kept = int(re.search(r"(\d+) new embeddings kept", json.loads(out)["error"])[1])
    assert 12 <= kept < 100  # of six batches begun, two at most were under way
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.glob("*.inflight")) == []
    again = answer("extract", "photos", cwd=tmp_path)
    assert (again["cached"], again["new"]) == (kept, 100 - kept)


def test_one_that_comes_while_the_program_is_loaded_ends_it_without_a_word(tmp_path: Path) -> None:
    program = """
import os, signal, sys

class Loading:
    def find_spec(self, name, path, target=None):
        if name == "imgcluster.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Loading())
from imgcluster.cli.start import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_download_is_broken_off(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 1, {"red": (200, 30, 30)})
    command = Command(tmp_path, "download", "extract", "photos").reach(1)
    command.send()
    status, _, err, seconds = command.end()
    assert (status, err) == (130, "stopped\n")
    assert seconds < command.soon
    assert not (tmp_path / "features.h5").exists()


def test_the_second_ends_the_process_whatever_it_is_at(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 1, {"red": (200, 30, 30)})
    command = Command(tmp_path, "library", "extract", "photos").reach(1)
    command.send()
    assert command.process.stderr.readline() == "stopping; Ctrl-C again ends at once\n"
    assert command.process.poll() is None
    command.send()
    status, _, _, seconds = command.end()
    assert status == 130
    assert seconds < command.soon


def test_the_old_folders_stay_when_clustering_is_stopped(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 5, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    answer("extract", "photos", cwd=tmp_path)
    answer("cluster", "--k", "2", "--mode", "hardlink", cwd=tmp_path)
    before = tree(tmp_path)
    command = Command(tmp_path, "links", "cluster", "--k", "3", "--mode", "hardlink").reach(5)
    command.send()
    status, _, err, seconds = command.end()
    assert (status, err.splitlines()[-1]) == (130, "stopped")
    assert seconds < command.soon
    assert tree(tmp_path) == before


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".log", ".lock"}
    }


def test_too_little_memory_is_one_line_that_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hungry(FakeNetwork):
        def embed(self, pixels: Pixels) -> Embeddings:
            raise MemoryError("Unable to allocate 9.31 TiB for an array")

    write_images(tmp_path / "photos", 1, {"red": (200, 30, 30)})
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource(Hungry()))
    done = imgcluster("extract", "photos", cwd=tmp_path)
    assert done.exit_code == 1
    assert re.fullmatch(r"there is too little memory: .*--batch-size.*\n", done.stderr)


def test_a_full_disk_while_decoders_run_is_one_line_and_an_ordinary_end(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = cv2.resize(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8), (3000, 3000))
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    for number in range(60):  # large enough for decoders to be in their library when the store gives up
        comment = b"\xff\xfe\x00\x06%04d" % number
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(data[:2] + comment + data[2:])
    script = (sys.executable, str(TESTS / "cli" / "slow_commands.py"), "nothing", str(tmp_path / "log"))
    done = subprocess.run(  # no file may grow beyond 128 KiB
        ["bash", "-c", 'ulimit -f 128; exec "$@"', "bash", *script, "extract", "photos"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(r"cannot write .*features.h5: .*\n", done.stderr)
