"""Every command in the README and in docs/photographs.md runs, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fakes import write_images

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PHOTOGRAPHS = (ROOT / "docs" / "photographs.md").read_text(encoding="utf-8")


def commands(program: str, page: str = README) -> list[str]:
    """The commands in console blocks that start with `program`."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line.split("  #")[0].strip() for line in lines if line.split()[0] == program]


ONE_AFTER_THE_OTHER = """
import shlex, sys
from imgcluster.cli.app import app
for line in sys.stdin:
    print(line, end="", file=sys.stderr)
    if code := app(shlex.split(line)[1:], standalone_mode=False):
        sys.exit(code)
"""
"""One process for all: libraries are loaded once."""
VIEWS = {README: 2, PHOTOGRAPHS: 4}
"""Of each photograph; all twelve take as many times longer and show nothing more."""


def run(folder: Path, *lines: str) -> None:
    environment = {**os.environ, "IMGCLUSTER_WEIGHTS": "imagenet"}
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        cwd=folder,
        env=environment,
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, PHOTOGRAPHS])
def test_the_commands_of_a_page_run_one_after_the_other(tmp_path: Path, page: str) -> None:
    found = commands("imgcluster", page)
    assert len(found) >= 3
    run(tmp_path, "imgcluster demo-images photos")
    for photograph in (tmp_path / "photos").iterdir():
        for view in sorted(photograph.iterdir())[VIEWS[page] :]:
            view.unlink()
    run(tmp_path, *found)


def test_the_python_block_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 2, {f"c{i}": (25 * i, 250 - 25 * i, 60 * (i % 4)) for i in range(8)})
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["found"].points.shape[0] == 16


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z][a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"install '\.\[([a-z0-9,]+)\]'", README):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
