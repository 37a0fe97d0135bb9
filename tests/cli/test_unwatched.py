"""Runs that nobody watches: --quiet, --log, --strict-new, --wait, and lines with the time."""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import FakeSource, write_image, write_images
from in_process import imgcluster

import imgcluster as package
from imgcluster import files
from imgcluster.cli import console, places
from imgcluster.errors import ImgclusterError, StoreLocked
from imgcluster.machine import cores
from imgcluster.store.lock import WriterLock
from imgcluster.workflows.options import ReportOptions
from imgcluster.workflows.report import report

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an extracted store; `extract` takes the network of arithmetic here too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "choose_network", lambda choice, notify: FakeSource())
    write_images(tmp_path / "photos", 3, COLOURS)
    package.extract("photos", source=FakeSource())
    yield tmp_path
    console.speak()


def test_a_new_failure_is_told_once_and_again_when_the_file_changes(here: Path) -> None:
    def extract(*more: str) -> int:
        return imgcluster("extract", "photos", *more, cwd=here).exit_code

    assert extract("--strict-new") == 0
    (here / "photos" / "bad.jpg").write_bytes(b"no image")
    assert [extract("--strict-new"), extract("--strict-new"), extract("--strict"), extract()] == [3, 0, 1, 0]
    (here / "photos" / "bad.jpg").write_bytes(b"no image either")
    (here / "photos" / "worse.jpg").write_bytes(b"none")
    done = imgcluster("extract", "photos", "--strict-new", "--json", cwd=here)
    assert (done.exit_code, json.loads(done.stdout)["newly_failed"]) == (3, 2)


def test_a_quiet_run_says_which_files_its_status_is_about(here: Path) -> None:
    """Cron sends what a command says, and knows nothing of its status."""
    for name in ("bad.jpg", "worse.jpg"):
        (here / "photos" / name).write_bytes(b"no image")
        done = imgcluster("extract", "photos", "--strict-new", "--quiet", cwd=here)
        assert (done.exit_code, done.stdout) == (3, "")
        assert [line.split(": ")[0].strip() for line in done.stderr.splitlines()] == [
            str(here / "photos" / name)
        ]
    assert not imgcluster("extract", "photos", "--strict-new", "--quiet", cwd=here).stderr


def test_quiet_says_nothing_but_errors_and_json(here: Path) -> None:
    (here / "photos" / "red" / "red0.png").unlink()
    done = imgcluster("cluster", "--k", "2", "--quiet", cwd=here)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(imgcluster("cluster", "--k", "2", "--quiet", "--json", cwd=here).stdout)["k"] == 2
    failed = imgcluster("cluster", "--k", "20", "--quiet", cwd=here)
    assert failed.exit_code == 1
    assert "20 clusters of 5 distinct images cannot be made" in failed.stderr


def test_a_log_grows_by_all_that_is_said_with_the_time(here: Path) -> None:
    (here / "photos" / "red" / "red0.png").unlink()
    for _ in range(2):
        said = imgcluster("cluster", "--k", "2", "--log", "a.log", cwd=here)
    imgcluster("cluster", "--k", "20", "--quiet", "--log", "a.log", cwd=here)
    assert "sorted 5 images" in said.stdout
    lines = (here / "a.log").read_text().splitlines()
    assert all(re.match(TIME, line) for line in lines)
    text = "\n".join(line[20:] for line in lines)
    assert text.count("left out: 1 image gone since extraction") == 3
    assert text.count("sorted 5 images into 2 clusters") == 2
    assert text.count("finding clusters") == 2
    assert "20 clusters of 5 distinct images cannot be made" in text.splitlines()[-1]


@pytest.mark.parametrize("content", [b"\xff\xd8\xff photo", b"name,label\n"])
def test_what_is_no_log_is_left_alone(here: Path, content: bytes) -> None:
    (here / "mine").write_bytes(content)
    done = imgcluster("cluster", "--log", "mine", cwd=here)
    assert (done.exit_code, (here / "mine").read_bytes()) == (1, content)
    assert "mine is not a log of imgcluster" in done.stderr
    done = imgcluster("cluster", "--log", "nowhere/a.log", cwd=here)
    assert done.exit_code == 1
    assert not (here / "clusters").exists()


def test_a_disk_that_is_full_ends_the_log_and_not_the_work(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console.voice.log = Path("/dev/full").open("a", buffering=1)  # noqa: SIM115 - it closes
    console.note("first")
    console.note("second")
    complaint = "cannot write the log any more: No space left on device"
    assert capsys.readouterr().err.splitlines() == [complaint, "first", "second"]


def test_without_a_terminal_lines_carry_the_time(here: Path) -> None:
    (here / "photos" / "red" / "red0.png").unlink()
    said = imgcluster("cluster", "--k", "2", cwd=here)
    assert re.match(f"{TIME}left out: 1 image gone", said.stderr)


@pytest.mark.parametrize("command", [("extract", "photos"), ("cluster", "--k", "2")])
def test_a_run_waits_for_one_that_writes_and_no_longer_than_told(
    here: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(here / "photos" / "new.png", (1, 2, 3))
    lock = WriterLock(str(here / "features.h5"))
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: lock.close())
    with monkeypatch.context() as patch:
        patch.setattr(files, "time", clock)  # the other has finished when this one looks again
        done = imgcluster(*command, "--wait", "30", cwd=here)
    assert done.exit_code == 0
    assert "waiting up to 30 s" in done.stderr
    with closing(WriterLock(str(here / "features.h5"))):
        given_up = imgcluster(*command, "--wait", "0.3", cwd=here)
    assert given_up.exit_code == 1
    assert "is being written by process" in given_up.stderr


def test_the_output_folder_is_waited_for_no_longer_either(here: Path) -> None:
    descriptor = os.open(here, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        given_up = imgcluster("cluster", "--wait", "0.1", cwd=here)
        assert given_up.exit_code == 1
        assert "waiting up to 0.1 s for another imgcluster" in given_up.stderr
        assert "had not finished after 0.1 s" in given_up.stderr
        assert not (here / "clusters").exists()
        threading.Timer(0.5, fcntl.flock, (descriptor, fcntl.LOCK_UN)).start()
        assert imgcluster("cluster", "--wait", "30", cwd=here).exit_code == 0
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ImgclusterError, match="another imgcluster writes"):  # as of `cluster --report`
            report(ReportOptions(), thumbnails="t", wait=0.1, owner=places.ownership())
    finally:
        os.close(descriptor)


def test_threads_are_those_of_the_option_while_a_command_works(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def choose(choice: object, notify: object) -> FakeSource:
        seen.append(cores())
        return FakeSource()

    monkeypatch.setattr(places, "choose_network", choose)
    for number in ("1", "3"):
        assert (
            imgcluster("extract", "photos", "--network", "vgg16", "--threads", number, cwd=here).exit_code
            == 0
        )
    assert seen == [1, 3]


def test_from_python_too(here: Path) -> None:
    with closing(WriterLock(str(here / "features.h5"))), pytest.raises(StoreLocked):
        package.extract("photos", source=FakeSource(), wait=0.1)


def test_who_waits_to_read_makes_and_writes_nothing(here: Path) -> None:
    lock = here / "features.h5.lock"
    lock.unlink()
    assert imgcluster("cluster", "--wait", "5", cwd=here).exit_code == 0
    assert not lock.exists()
