"""Files that this user may not read are told as that, not as gone, and nothing is forgotten for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from clusterings import desk_with_photos

TESTS = Path(__file__).parents[1]
WITHOUT_PRIVILEGES = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Root may read everything, unless it is told not to."""
ONE_AFTER_THE_OTHER = """
import json, sys
from fakes import FakeSource
from in_process import imgcluster
from imgcluster.cli import places
places.choose_network = lambda *_, **__: FakeSource()
done = [imgcluster(*line.split(), cwd=".") for line in sys.argv[1:]]
print(json.dumps([[each.exit_code, each.stdout, each.stderr] for each in done]))
"""


def run(folder: Path, *lines: str) -> list[list[str]]:
    path = os.pathsep.join(map(str, (TESTS, TESTS / "cli", *filter(None, sys.path))))
    command = [*WITHOUT_PRIVILEGES, sys.executable, "-c", ONE_AFTER_THE_OTHER, *lines]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


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
    result = json.loads(clustered[1])
    assert (result["images"], result["unreadable"], result["missing"]) == (10, 5, 0)
    said = f"5 images that you may not read, the first: {shut}/red0.png: `chmod -R u+rX {shut}` makes"
    assert said in clustered[2]
    assert json.loads(listed[1])["gone"] == 0
    assert "removed 0 paths and 0 rows" in pruned[1]
    assert reported[0] == 0
    assert "no longer on disk" not in (desk.out / "report.html").read_text()
    assert extracted[0] == 1
    assert f"nothing could be read: {shut}: the folder cannot be read: no permission" in extracted[2]


def test_of_a_file_that_must_be_read_again_too(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    shut = desk.photos / "red" / "red0.png"
    shut.chmod(0)
    (done,) = run(tmp_path, "cluster --k 2 --json")
    result = json.loads(done[1])
    assert (result["images"], result["unreadable"], result["changed"]) == (14, 1, 0)
    assert f"1 image that you may not read, the first: {shut}: `chmod -R u+rX {shut}`" in done[2]
