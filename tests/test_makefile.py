"""What is typed after `make` is handed on as it is: nothing runs it, and no path is an option."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = [
    "x'; touch y; echo '",
    '"; touch y; echo "',
    "$(touch y)",
    "$(shell touch y)",
    "`touch y`",
    "--store=stolen.h5",
    "a b;c $HOME #d",
    "two\nlines",
]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment whose imgcluster writes down what it is given."""
    folder = tmp_path_factory.mktemp("venv")
    (folder / "bin").mkdir()
    program = folder / "bin" / "imgcluster"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "with open(os.environ['SEEN'], 'a') as file:\n    file.write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    program.chmod(0o700)
    for extras in ("offline", "offline,report,demo"):
        (folder / f".installed-{extras}").touch()
    return folder


def commands(stand_in: Path, folder: Path, *arguments: str) -> list[list[str]]:
    (folder / "seen").write_text("")
    make = [
        "make",
        "--file",
        str(ROOT / "Makefile"),
        "--old-file=pyproject.toml",
        "--old-file=constraints.txt",
    ]
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    environment = os.environ | {"SEEN": str(folder / "seen")}
    subprocess.run(
        [*make, *arguments, f"VENV={stand_in}"], cwd=folder, env=environment, check=True, capture_output=True
    )
    return [json.loads(line) for line in (folder / "seen").read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_names_reach_the_command_as_they_were_typed(stand_in: Path, tmp_path: Path, name: str) -> None:
    """S20."""
    (extract,) = commands(stand_in, tmp_path, "extract", f"IMAGES={name}")
    assert extract == ["extract", "--store=features.h5", "--", name]
    (cluster,) = commands(stand_in, tmp_path, "cluster", f"OUT={name}", f"STORE={name}", f"K={name}")
    assert cluster == ["cluster", f"--k={name}", f"--store={name}", f"--out={name}"]
    demo = commands(stand_in, tmp_path, "demo", f"IMAGES={name}", "NETWORK=vgg16", "K=3")
    assert [command[-2:] for command in demo] == [["--", name]] * 2
    assert not (tmp_path / "y").exists()


def test_without_images_the_demo_makes_its_own(stand_in: Path, tmp_path: Path) -> None:
    demo = commands(stand_in, tmp_path, "demo")
    assert [command[0] for command in demo] == ["demo-images", "extract", "cluster", "evaluate", "cluster"]
    assert "--k=8" in demo[2]
    # So the network that extract goes on with, that of the store, is the one of the clusters.
    assert not any(argument.startswith("--network") for command in demo for argument in command)
