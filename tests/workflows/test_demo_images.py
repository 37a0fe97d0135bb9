"""What `demo-images` promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imgcluster.cli.app import app
from imgcluster.errors import ImgclusterError
from imgcluster.workflows.demo_images import PHOTOGRAPHS, VIEWS_PER_PHOTOGRAPH, make_demo_images


@pytest.fixture
def one_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcluster.workflows.demo_images.PHOTOGRAPHS", PHOTOGRAPHS[-1:])


@pytest.mark.usefixtures("one_photograph")
def test_the_folder_is_filled_once_and_described_as_json(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        result = CliRunner().invoke(app, ["demo-images", str(tmp_path), "--json"])
        assert result.exit_code == 0
        times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        runs.append((json.loads(result.stdout), times))
    assert runs[0] == runs[1]
    assert len(runs[0][1]) == VIEWS_PER_PHOTOGRAPH
    assert runs[0][0] == {
        "folder": str(tmp_path),
        "images": VIEWS_PER_PHOTOGRAPH,
        "photographs": [{"name": "flower", "credit": "vultilion, CC BY 2.0"}],
    }


@pytest.mark.usefixtures("one_photograph")
@pytest.mark.parametrize("name", ["file", "file/below", "flower"])
def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name.split("/", maxsplit=1)[0]).write_text("mine")
    folder = tmp_path if name == "flower" else tmp_path / name
    with pytest.raises(ImgclusterError, match=f"cannot fill {folder}: .*; name another folder"):
        make_demo_images(folder)
