"""docs/schedule.md: its script and unit files do what they say, in an empty environment."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import write_images

PAGE = (Path(__file__).parents[1] / "docs" / "schedule.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def unit(name: str) -> configparser.ConfigParser:
    (text,) = (block for block in blocks("ini") if block.startswith(f"# {name}\n"))
    parsed = configparser.ConfigParser(interpolation=None, strict=True)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    return parsed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home as the page has it: photographs, the script, and a clone with its virtual environment."""
    (script,) = blocks("sh")
    (tmp_path / "nightly.sh").write_text(script)
    (tmp_path / "nightly.sh").chmod(0o755)
    program = tmp_path / "imgcluster" / ".venv" / "bin" / "imgcluster"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m imgcluster "$@"\n')
    program.chmod(0o755)
    write_images(tmp_path / "Pictures", 3, {f"c{i}": (25 * i, 250 - 25 * i, 60 * (i % 4)) for i in range(8)})
    # Converted networks are shared with other runs of the tests.
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imgcluster"
    cache.mkdir(parents=True, exist_ok=True)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "imgcluster").symlink_to(cache)
    return tmp_path


def run(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line as systemd or cron do, with nothing in the environment but the home."""
    arguments = [part.replace("%h", str(home)).replace("$HOME", str(home)) for part in shlex.split(command)]
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(arguments, env=environment, cwd="/", capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_unit_runs_in_an_empty_environment_and_tells_new_failures_once(home: Path) -> None:
    service = unit("imgcluster.service")["Service"]
    assert service["Type"] == "oneshot"
    (cron,) = blocks("crontab")
    assert cron.split(maxsplit=5)[5].strip() == service["ExecStart"].replace("%h", "$HOME")
    first = run(home, service["ExecStart"])
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    sorted_folder = home / "Pictures" / "clusters"
    assert len(list(sorted_folder.glob("*/*.png"))) == 24
    (home / "Pictures" / "broken.jpg").write_bytes(b"no image")
    assert [run(home, service["ExecStart"]).returncode for _ in range(2)] == [3, 0]
    log = (home / "imgcluster.log").read_text()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in log.splitlines())
    assert "broken.jpg: not an image" in log
    assert log.count("sorted 24 images into 8 clusters") == 3


def test_the_timer_starts_the_service_of_its_name_every_night() -> None:
    timer = unit("imgcluster.timer")
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", timer["Timer"]["OnCalendar"])
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert set(unit("imgcluster.service").sections()) == {"Unit", "Service"}
