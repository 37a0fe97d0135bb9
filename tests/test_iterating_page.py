"""The afternoon of docs/iterating.md, on the demo's own images: every step says what the page prints."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "iterating.md").read_text(encoding="utf-8")
HOME = "/home/ann/pictures"
"""The folder in which the page was written."""


def steps() -> Iterator[tuple[str, str]]:
    """Each command of the page, and what is printed under it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, said = step.partition("\n")
            yield command, said


def run(command: str, folder: Path) -> str:
    """Run a line in the shell and give what it says, as in a terminal, which needs no times before lines."""
    program = f"{shlex.quote(sys.executable)} -m imgcluster "
    done = subprocess.run(
        ["bash", "-c", re.sub(r"^imgcluster ", program, command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout)
    said = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", done.stdout, flags=re.MULTILINE)
    return said.replace(str(folder), HOME)


def shape(said: str) -> list[str]:
    """The lines without what processors and clocks decide: figures with a decimal point, a rate, widths."""
    said = re.sub(r" at [\d.]+ images/s", "", said)
    said = re.sub(r"; other levels: .*", "", said)  # how stable they are hangs on last bits
    return [re.sub(r"[\d.]+\.[\d.]*|\s+", " ", line).split() for line in said.splitlines()]


@pytest.mark.slow
def test_every_step_of_the_afternoon_says_what_the_page_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLUSTER_WEIGHTS", "imagenet")
    page = list(steps())
    assert len(page) > 15
    for command, printed in page:
        assert shape(run(command, tmp_path)) == shape(printed), command
    assert not (tmp_path / "clusters").exists()
