"""An afternoon of somebody whom nobody knows: every command, where systems refuse things, and no wrong word.

In the end all is as it was before, and no status was another than it should be.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import old_photographs
import pytest
from cluster_files import contents
from fakes import FakeSource, write_image
from in_process import answer, imgcluster
from PIL import Image

SYSTEM = Path(__file__).with_name("refusing_system.py")
WRONG = re.compile(
    r"Traceback|fault of imgcluster|\[Errno|\bNone\b|\bnan\b|<[a-z_.]+ object|"
    r"(?<![\d.,:/-])1 (?:images|copies|files|groups|clusters|names|folders|companions|rows)\b"
)
STORE, SWEEP = ("features.h5",), ("sweep.html", "sweep")


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcluster.cli.places.choose_network", lambda *_: FakeSource())


@dataclass
class Afternoon:
    """Commands in one folder; `between` happens before each."""

    work: Path
    between: Callable[[], None] = lambda: None
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, status: int = 0) -> str:
        self.between()
        done = imgcluster(*arguments, cwd=self.work)
        self.said.append(f"$ imgcluster {' '.join(arguments)}\n{done.output}")
        print(self.said[-1])
        assert done.exit_code == status, self.said[-1]
        assert not WRONG.search(done.output), self.said[-1]
        return done.output

    def all_commands(self, modes: tuple[str, ...], more: str = "more") -> None:
        self.run("extract", "photos")
        assert "0 new" in self.run("extract", "photos")
        for mode in modes:
            self.run("cluster", "-k", "2", "--mode", mode, "--report")
            self.run("report")
            self.run("undo", "--all")
            assert not (self.work / "clusters").exists()
        self.run("cluster", "-k", "2", "--mode", modes[0], "--report")
        self.run("sweep", "--k", "2:3")
        self.run("evaluate")
        self.run("duplicates", "--plan", "plan.csv", "--report")
        self.run("duplicates", "--apply", "plan.csv", "--trash", "trash")
        self.run("undo", "--clusters", "trash", "--all")
        self.run("undo", "--clusters", "duplicates-report", "--all")
        self.run("name", "0=first")
        self.run("cluster", "-k", "3")
        self.run("extract", more)
        self.run("assign", more, "--place")
        self.run("undo", "--all")


def names(folder: Path) -> set[str]:
    found = (os.path.join(at, name) for at, _, listed in os.walk(folder) for name in listed)
    return {os.path.relpath(path, folder) for path in found}


def left(work: Path) -> set[str]:
    """What is there besides photographs, and the store and the plan that were asked for."""
    return {name for name in names(work) if name.split("/")[0] not in {"photos", "more"}} - {
        "features.h5",
        "features.h5.lock",
        "plan.csv",
    }


def kept(work: Path) -> dict[str, bytes]:
    """All that is there, but for what tells who wrote last."""
    return {name: data for name, data in contents(work).items() if name != "features.h5.lock"}


@contextmanager
def mounted(kind: str, folder: Path, most: int = 0) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Mount a file system that refuses things; a skip where nothing can be mounted."""
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        pytest.skip("only root mounts file systems, and where there is FUSE")
    place, backing = folder / kind, folder / f"{kind}-backing"
    place.mkdir()
    backing.mkdir()
    arguments = (str(SYSTEM), kind, str(backing), str(place), str(most))
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None or server.stdout.readline() != "mounted\n":
                pytest.skip("nothing can be mounted here")
            yield place, server
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=False)
            server.terminate()


def ordinary_photos(work: Path) -> None:
    """Two kinds of pictures, copies of some, and companions."""
    for number in range(4):
        for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
            write_image(work / "photos" / name / f"{name}{number}.png", colour, noise=number, side=48)
        write_image(work / "more" / f"more{number}.png", (30, 30, 190), noise=number + 9, side=48)
    shutil.copyfile(work / "photos" / "red" / "red0.png", work / "photos" / "blue" / "copy.png")
    Image.open(work / "photos" / "red" / "red1.png").save(work / "photos" / "red" / "small.jpg")
    (work / "photos" / "red" / "red2.xmp").write_text("edits")
    (work / "photos" / "red" / unicodedata.normalize("NFC", "Müllér ä.PNG")).write_bytes(
        write_image(work / "photos" / "x.png", (190, 40, 40), noise=77).read_bytes()
    )
    (work / "photos" / "x.png").unlink()


@pytest.mark.slow
def test_on_a_share_of_a_nas(tmp_path: Path) -> None:
    """No times, permissions, links or exchanges, folders that are not synced; numbers of inodes change."""
    with mounted("share", tmp_path) as (place, server):
        ordinary_photos(place)
        for name in ("@eaDir/red0.png/SYNOPHOTO_THUMB_M.png", "#recycle/old.png", ".DS_Store", "Thumbs.db"):
            (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "photos" / name).write_bytes((place / "photos" / "red" / "red0.png").read_bytes())
        before = contents(place)

        def between() -> None:
            server.send_signal(signal.SIGUSR1)

        afternoon = Afternoon(place, between)
        afternoon.all_commands(("auto", "copy", "move"))
        assert left(place) == set()
        assert {n: d for n, d in contents(place).items() if n in before} == before


@pytest.mark.slow
def test_on_a_usb_stick(tmp_path: Path) -> None:
    """Times of two seconds, no links at all, and names that are refused."""
    with mounted("stick", tmp_path) as (place, server):
        ordinary_photos(place)
        before = contents(place)
        afternoon = Afternoon(place, lambda: server.send_signal(signal.SIGUSR1))
        afternoon.all_commands(("auto", "copy", "move", "symlink"))
        assert left(place) == set()
        assert {n: d for n, d in contents(place).items() if n in before} == before


def state_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder as it lies there: bytes, or where a link leads; and its time."""
    found = {}
    for at, _, listed in os.walk(folder):
        for name in listed:
            path = os.path.join(at, name)
            held = os.readlink(path) if os.path.islink(path) else Path(path).read_bytes()
            found[os.path.relpath(path, folder)] = (held, os.lstat(path).st_mtime_ns)
    return found


@pytest.fixture
def old_work(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that keeps times of any year, where there is one."""
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no file system is known that keeps times of any year")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_with_twenty_years_of_files(old_work: Path) -> None:
    old_photographs.make(old_work / "photos")
    for number in range(3):
        write_image(old_work / "more" / f"more{number}.png", (30, 30, 190), noise=number + 99, side=48)
    before = state_of(old_work / "photos")
    afternoon = Afternoon(old_work)
    afternoon.all_commands(("auto", "copy", "symlink", "move"))
    assert state_of(old_work / "photos") == before
    assert left(old_work) == set()
    failures = answer("extract", "photos", cwd=old_work)["failures"]
    broken = {os.path.relpath(each["path"], old_work / "photos") for each in failures}
    assert broken == {*(f"broken/{name}" for name in old_photographs.BROKEN), "dangling.jpg"}


CONTAINER = """
set -e
mount --make-rprivate /
mount --bind "$1" /mnt
mount --bind "$4" /srv
mount -t tmpfs none /tmp
if [[ $4 == /tmp/* ]]; then mkdir -p "$4"; mount --bind /srv "$4"; fi
mknod --mode=666 /tmp/null c 1 3
mount --bind /tmp/null /dev/null
mount --bind /mnt/limits /sys/fs/cgroup
mount -o remount,bind,ro /
cd /mnt/work
reading=+dac_read_search  # Python may lie where root alone looks
exec setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=$reading --ambient-caps=$reading \\
  env -i PATH=/usr/bin:/bin PYTHONPATH="$3" "$2" "${@:5}"
"""
LIMITS = {"cpu.max": "200000 100000", "cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}


class InContainer(Afternoon):
    """A user without name and home, two cores of 64, and nothing to write to but the work and /tmp."""

    def run(self, *arguments: str, status: int = 0) -> str:
        tests = Path(__file__).parents[1]
        program = (
            sys.executable,
            f"{tests}:{tests.parent}",
            str(tests.parent),
            str(Path(__file__).with_name("container_commands.py")),
        )
        command = ("unshare", "--mount", "bash", "-c", CONTAINER, "bash", str(self.work.parent), *program)
        done = subprocess.run([*command, "threads", *arguments], capture_output=True, text=True, check=False)
        self.said.append(f"$ imgcluster {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        assert done.returncode == status, self.said[-1]
        assert not WRONG.search(done.stdout + done.stderr), self.said[-1]
        return done.stdout


@pytest.mark.slow
def test_in_a_container_without_a_home(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("only root makes a container of this kind")
    work = tmp_path / "work"
    ordinary_photos(work)
    for group in (tmp_path / "limits", tmp_path / "limits" / "cpu"):
        group.mkdir()
        for name, value in LIMITS.items():
            (group / name).write_text(value)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 54321, 54321)
    before = contents(work)
    run = InContainer(work).run
    trust = ("--trust", ".")
    run("extract", "photos", "more")
    assert "0 new" in run("extract", "photos")
    for mode in ("auto", "move"):
        run("cluster", "-k", "2", "--mode", mode, "--report", *trust)
        run("undo", "--all", status=1)
        run("cluster", "-k", "3", "--mode", mode, *trust)
        run("report", *trust)
        run("undo", "--all", *trust)
    run("cluster", "-k", "2", "photos")
    run("assign", "more", "--store", "features.h5")
    run("assign", "more", "--store", "features.h5", "--place", status=1)
    run("sweep", "--k", "2:3", "--plot", "sweep.png")
    (work / "sweep.png").unlink()
    run("duplicates", "--plan", "plan.csv", "--report")
    run("duplicates", "--apply", "plan.csv", "--trash", "trash")
    for folder in ("trash", "duplicates-report", "clusters"):
        run("undo", "--clusters", folder, "--all", *trust)
    threads = [int(number) for number in (work / "threads").read_text().split()]
    (work / "threads").unlink()
    assert max(threads) < 16
    assert {n: d for n, d in contents(work).items() if n in before} == before
    assert left(work) == set()


@pytest.mark.slow
def test_on_a_stick_that_is_nearly_full(tmp_path: Path) -> None:
    with mounted("stick", tmp_path, 8 << 20) as (place, _):
        ordinary_photos(place)
        afternoon = Afternoon(place)
        afternoon.run("extract", "photos")
        (place / "film.avi").write_bytes(bytes(shutil.disk_usage(place).free - 40_000))
        before = kept(place)
        full = (("cluster", "-k", "2", "--mode", "copy"), ("extract", "more"), ("duplicates", "--report"))
        for command in full:
            assert "no space left on" in " ".join(afternoon.run(*command, status=1).lower().split())
            assert kept(place) == before
        afternoon.run("cluster", "-k", "2", "--mode", "move")
        afternoon.run("undo", "--all")
        assert kept(place) == before
        assert "0 new" in afternoon.run("extract", "photos")
        (place / "film.avi").unlink()
        afternoon.run("store", "verify")
        assert "4 new" in afternoon.run("extract", "more")
