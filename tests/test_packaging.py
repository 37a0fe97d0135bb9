"""The wheel: it builds, installs into a clean environment with what it needs, and runs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def run(*command: str | Path, cwd: Path) -> str:
    environment = {**CLEAN, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, which shows that nothing is missing there."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    there = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "imgcluster").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "imgcluster/py.typed" in there
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("imgcluster/")}
    assert names == there


@pytest.mark.slow
def test_the_wheel_runs_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    assert "No broken requirements" in run(programs / "python", "-m", "pip", "check", cwd=tmp_path)
    networks = json.loads(run(programs / "imgcluster", "networks", "--json", cwd=tmp_path))["networks"]
    assert networks[0]["name"] == "inception_v3"
