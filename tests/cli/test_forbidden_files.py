"""Files that this user may not read are told as that, not as gone, and nothing is forgotten for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from clusterings import desk_with_photos
from fakes import FakeSource
from in_process import imgcluster, unprivileged

from imgcluster.cli import places


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource())


def run(folder: Path, *lines: str) -> list[Result]:
    with unprivileged():
        return [imgcluster(*line.split(), cwd=folder) for line in lines]


def test_of_a_folder_that_is_shut_the_permission_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    shut = desk.photos / "red"
    shut.chmod(0)
    try:
        clustered, listed, pruned, extracted, reported = run(
            tmp_path,
            "cluster --k 2 --json",
            "inventory --json",
            "store prune",
            "extract photos/red",
            "report",
        )
    finally:
        shut.chmod(0o755)
    result = json.loads(clustered.stdout)
    assert (result["images"], result["unreadable"], result["missing"]) == (10, 5, 0)
    said = f"5 images that you may not read, the first: {shut}/red0.png: `chmod -R u+rX {shut}` makes"
    assert said in clustered.stderr
    assert json.loads(listed.stdout)["gone"] == 0
    assert "removed 0 paths and 0 rows" in pruned.stdout
    assert reported.exit_code == 0
    assert "no longer on disk" not in (desk.out / "report.html").read_text()
    assert extracted.exit_code == 1
    assert f"nothing could be read: {shut}: the folder cannot be read: no permission" in extracted.stderr


def test_of_a_file_that_must_be_read_again_too(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    shut = desk.photos / "red" / "red0.png"
    shut.chmod(0)
    (done,) = run(tmp_path, "cluster --k 2 --json")
    result = json.loads(done.stdout)
    assert (result["images"], result["unreadable"], result["changed"]) == (14, 1, 0)
    assert f"1 image that you may not read, the first: {shut}: `chmod -R u+rX {shut}`" in done.stderr
