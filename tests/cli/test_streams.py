"""Streams that are closed, full, or of a width that nobody knows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from imgcluster.cli import console

if TYPE_CHECKING:
    from pathlib import Path


def shell(command: str, cwd: Path, *, buffered: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {} if buffered else {"PYTHONUNBUFFERED": "1"}
    text = f"exec {sys.executable} -m imgcluster {command}"
    return subprocess.run(
        ["sh", "-c", text], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_stdout_is_told_in_a_line(tmp_path: Path, *, buffered: bool) -> None:
    for command in ("networks", "networks --json", "--help"):
        done = shell(f"{command} > /dev/full", tmp_path, buffered=buffered)
        assert (done.returncode, done.stderr) == (1, "cannot write to stdout: No space left on device\n")


def test_what_is_closed_is_not_missed(tmp_path: Path) -> None:
    command = "store info --store nowhere --json"
    whole, unseen = shell(command, tmp_path), shell(f"{command} 2>&-", tmp_path)
    assert (unseen.stdout, unseen.returncode) == (whole.stdout, 1)
    assert "error" in json.loads(unseen.stdout)
    unheard = shell(f"{command} >&-", tmp_path)
    assert (unheard.stderr, unheard.returncode) == (whole.stderr, 1)


def test_a_full_stderr_ends_no_work(tmp_path: Path) -> None:
    command = "store info --store nowhere --json"
    done = shell(f"{command} 2> /dev/full", tmp_path)
    assert (done.stdout, done.returncode) == (shell(command, tmp_path).stdout, 1)
    program = """
from imgcluster.cli import console, streams
from imgcluster.cli.progress import progress as shown_progress
streams.settle()
with shown_progress() as progress:
    progress.note("a line")
console.note("another")
print(1)
"""
    told = subprocess.run(
        ["sh", "-c", f'exec {sys.executable} -c "$0" 2> /dev/full', program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (0, "1\n")


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    look = "from imgcluster.cli import streams; streams.settle(); print(open('x', 'w').fileno() > 2)"
    closed = subprocess.run(
        ["sh", "-c", f'exec {sys.executable} -c "$0" 0<&- 2>&-', look],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert closed.stdout == "True\n"


def test_nothing_is_lost_where_a_line_is_said_to_have_no_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    console.say("here")
    assert capsys.readouterr().out == "here\n"
