"""The afternoon of docs/iterating.md, step by step, on the demo's own images."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "iterating.md").read_text(encoding="utf-8")
VIEWS = 4
"""Of each photograph; all twelve take longer and show nothing more."""


@pytest.mark.slow
def test_every_step_of_the_afternoon_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_WEIGHTS", "imagenet")
    (session,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    steps = [line[2:] for line in session.splitlines() if line.startswith("$ ")]
    assert len(steps) > 10
    program = f"{shlex.quote(sys.executable)} -m imgcluster "
    said = {}
    for step in steps:
        command = re.sub(r"^imgcluster ", program, step)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (step, done.stdout, done.stderr)
        said[step] = done.stdout + done.stderr
        if "demo-images" in step:
            for photograph in (tmp_path / "photos").iterdir():
                for view in sorted(photograph.iterdir())[VIEWS:]:
                    view.unlink()
    assert "1 image moved by hand" in said["imgcluster correct"]
    assert "the old house: still 1" in said["imgcluster cluster --k 6 --edits edits.csv"]
    assert "1 placed in clusters" in said["imgcluster assign new.jpg --place"]
    assert not (tmp_path / "clusters").exists()
