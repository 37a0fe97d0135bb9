"""Files that cannot be read, as the command line tells of them; and what it is quiet about."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSource, write_images
from in_process import imgcluster
from PIL import Image

from imgcluster.cli import places
from imgcluster.images.decode import decode

TESTS = Path(__file__).parents[1]
QUICK = (str(TESTS / "cli" / "slow_commands.py"), "nothing", os.devnull)
"""A process of its own, with a stand-in network."""
BLOCK_SOCKETS = """
import os, sys
sys.addaudithook(lambda event, arguments: event.startswith("socket.") and os._exit(99))
from imgcluster.cli.app import main
main()
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource())


def extract(folder: Path, *options: str) -> Any:
    done = imgcluster("extract", "photos", "--json", *options, cwd=folder)
    return done, json.loads(done.stdout)


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good images and a broken one, all of them old enough to be trusted by their time."""
    write_images(tmp_path / "photos", 2, {"red": (200, 30, 30)})
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"Dear diary,\n" * 50)
    backdate(tmp_path)
    return tmp_path


def backdate(folder: Path) -> None:
    for path in (folder / "photos").rglob("*.*"):
        os.utime(path, ns=(10**18, 10**18))


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {os.path.basename(failure["path"]): failure["reason"] for failure in result["failures"]}


def test_a_broken_file_changes_no_exit_code_unless_asked_and_is_not_read_again(folder: Path) -> None:
    done, result = extract(folder)
    assert (done.exit_code, result["new"], result["failed"]) == (0, 2, 1)
    done, result = extract(folder, "--strict")
    assert (done.exit_code, result["cached"], list(reasons(result))) == (1, 2, ["broken.jpg"])
    assert done.stderr == ""


def test_failed_files_go_to_a_table_with_absolute_paths(folder: Path) -> None:
    _, result = extract(folder, "--failures", "failed.csv")
    with open(folder / "failed.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"path": str(folder / "photos" / "broken.jpg"), "reason": reasons(result)["broken.jpg"]}]


def test_the_table_is_written_although_no_file_could_be_read(folder: Path) -> None:
    shutil.rmtree(folder / "photos" / "red")
    done, result = extract(folder, "--failures", "failed.csv")
    assert (done.exit_code, "error" in result) == (1, True)
    assert "broken.jpg" in (folder / "failed.csv").read_text()


def test_a_table_that_cannot_be_written_shows_before_the_long_work(folder: Path) -> None:
    done, result = extract(folder, "--failures", "nowhere/failed.csv")
    assert done.exit_code == 1
    assert "cannot write nowhere/failed.csv" in result["error"]
    assert not (folder / "features.h5").exists()


def test_failed_files_are_tried_again_on_demand_though_they_did_not_change(folder: Path) -> None:
    extract(folder)
    broken = folder / "photos" / "broken.jpg"
    repaired = (folder / "photos" / "red" / "red0.png").read_bytes()
    broken.write_bytes(repaired[: broken.stat().st_size].ljust(broken.stat().st_size, b"\0"))
    backdate(folder)
    before = extract(folder)[1]
    after = extract(folder, "--retry-failed")[1]
    assert "text" in reasons(before)["broken.jpg"]
    assert "text" not in reasons(after)["broken.jpg"]


def test_larger_images_are_refused_by_their_header_where_so_asked(folder: Path) -> None:
    Image.new("RGB", (300, 200)).save(folder / "photos" / "large.png")
    _, result = extract(folder, "--max-pixels", "59999")
    assert "300 x 200" in reasons(result)["large.png"]
    _, result = extract(folder, "--max-pixels", "60000")
    assert "large.png" not in reasons(result)


def test_a_truncated_image_is_taken_on_demand_and_marked(folder: Path) -> None:
    whole = photograph()
    (folder / "photos" / "cut.jpg").write_bytes(whole[: len(whole) * 6 // 10])
    _, result = extract(folder)
    assert "--accept-truncated" in reasons(result)["cut.jpg"]
    done, result = extract(folder, "--accept-truncated")
    assert result["new"] == 1
    assert "cut.jpg: cut short" in done.stderr


def photograph() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def test_what_decoders_write_to_stderr_does_not_reach_the_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(photograph())
    data[-400:-390] = b"\xff\x00" * 5  # no code begins with so many ones
    noisy = folder / "photos" / "noisy.jpg"
    noisy.write_bytes(data)
    decode(bytes(data))
    assert "Corrupt JPEG data" in capfd.readouterr().err
    done = python(*QUICK, "extract", "photos", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_socket_is_opened(folder: Path) -> None:
    network = ("--network", "efficientnet_lite0")
    done = python("-c", BLOCK_SOCKETS, "extract", "photos", "--json", *network, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] == 2


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 2000, {"red": (200, 30, 30)})
    done = python(str(TESTS / "cli" / "memory_of_extract.py"), str(tmp_path / "photos"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    megabytes = [int(line) for line in done.stdout.splitlines()]
    assert len(megabytes) == 250
    assert megabytes[-1] - megabytes[50] < 20
