"""One of everything, through the real command line: every failure has a reason, every name survives.

The network is a stand-in, for what it computes is not the point.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import hostile_folder
import pytest
from fakes import FakeSource
from in_process import answer, imgcluster, unprivileged

from imgcluster.cli import places
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from hostile_folder import HostileFolder

WHAT = ("photos", "photos/" + os.fsdecode(hostile_folder.ONLY_SPACES))
EVERYTHING = "1000"


def run(cwd: Path, *arguments: str) -> Any:
    """Run a command that looks at files which it may not read."""
    with unprivileged(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "choose_network", lambda *_, **__: FakeSource())
        return answer(*arguments, cwd=cwd)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> HostileFolder:
    return hostile_folder.make(tmp_path_factory.mktemp("hostile") / "photos")


@pytest.fixture(scope="module")
def extracted(folder: HostileFolder) -> dict[str, Any]:
    return run(folder.root.parent, "extract", *WHAT, "--failures", "failures.csv")


@pytest.fixture(scope="module")
def clustered(folder: HostileFolder, extracted: dict[str, Any]) -> Path:
    answer("cluster", "--k", "2", "--report", cwd=folder.root.parent)
    return folder.root.parent / "clusters"


def test_every_good_file_is_embedded_and_every_other_has_a_reason(
    folder: HostileFolder, extracted: dict[str, Any]
) -> None:
    assert sorted(f["path"] for f in extracted["failures"]) == sorted(folder.broken)
    assert extracted["new"] == len(folder.good)
    assert extracted["hidden"] == folder.hidden
    for failure in extracted["failures"]:
        assert failure["reason"]
        assert failure["reason"].isprintable()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut5.jpg", "cut short"),
        ("cut5.png", "cut short"),
        ("empty.jpg", "empty"),
        ("text.jpg", "text file"),
        ("bomb.png", "pixels"),
        ("pipe.jpg", "pipe"),
        ("socket.jpg", "socket"),
        ("dangling.jpg", "link to nothing"),
        ("loop.jpg", "circle"),
        ("forbidden.jpg", "permission"),
    ],
)
def test_a_reason_says_what_is_wrong(extracted: dict[str, Any], name: str, reason: str) -> None:
    (said,) = [f["reason"] for f in extracted["failures"] if os.path.basename(f["path"]) == name]
    assert reason in said


def test_names_survive_in_the_store(folder: HostileFolder, extracted: dict[str, Any]) -> None:
    with FeatureStore(folder.root.parent / "features.h5") as store:
        assert sorted(entry.path for entry in store.paths()) == sorted(folder.good)


def test_names_survive_in_the_list_of_failures(folder: HostileFolder, extracted: dict[str, Any]) -> None:
    rows = table(folder.root.parent / "failures.csv")
    assert [(row["path"], row["reason"]) for row in rows] == [
        (f["path"], f["reason"]) for f in extracted["failures"]
    ]
    assert all(os.path.isabs(row["path"]) for row in rows)


def test_names_survive_in_the_folders_and_the_list_of_assignments(
    folder: HostileFolder, clustered: Path
) -> None:
    paths = [row["path"] for row in table(clustered / "assignments.csv")]
    assert sorted(os.path.normpath(os.path.join(clustered, path)) for path in paths) == sorted(folder.good)
    arrived = [path for cluster in ("0", "1") for path in (clustered / cluster).iterdir()]
    assert len(arrived) == len(folder.good)
    kept = {os.path.basename(path) for path in folder.good}
    named_alike = {"IMG_1.jpg", "UPPER.PNG"}
    assert kept - {path.name for path in arrived} <= named_alike | {"n" * 251 + ".png"}
    contents = sorted(path.read_bytes() for path in arrived)
    assert contents == sorted(_bytes(path) for path in folder.good)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_names_survive_in_json(folder: HostileFolder, clustered: Path) -> None:
    work = folder.root.parent
    similar = answer("similar", "photos/-rf.png", "--top", EVERYTHING, cwd=work)
    others = {image["path"] for image in similar["similar"]}
    assert {similar["image"], *others} == set(folder.good)
    found = answer("duplicates", "--threshold", "0.01", "--plan", "plan.csv", cwd=work)
    groups = [*found["groups"], *found["look_alikes"]]
    named = [group["keep"] for group in groups]
    named += [copy["path"] for group in groups for copy in group["copies"]]
    assert set(named) == set(folder.good)


def test_names_survive_in_every_table_that_can_be_asked_for(folder: HostileFolder, clustered: Path) -> None:
    work = folder.root.parent
    answer("duplicates", "--threshold", "0.01", "--plan", "plan.csv", cwd=work)
    assert sorted(row["path"] for row in table(work / "plan.csv")) == sorted(folder.good)
    run(work, "assign", *WHAT, "-o", "assigned.csv")
    assigned = [os.path.normpath(work / row["path"]) for row in table(work / "assigned.csv")]
    assert sorted(assigned) == sorted(folder.good)


def test_names_survive_in_a_table_of_labels(folder: HostileFolder, clustered: Path) -> None:
    work = folder.root.parent
    with open(work / "labels.csv", "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        rows.writerows((path, f"class {number % 3}") for number, path in enumerate(folder.good))
    assert answer("evaluate", "--labels", "labels.csv", cwd=work)["images"] == len(folder.good)


def test_the_report_leads_to_every_file_and_shows_its_picture(folder: HostileFolder, clustered: Path) -> None:
    pages = [*(clustered / "report").glob("cluster-*.html")]
    tiles = [
        tag for page in pages for tag in re.findall(r"<a class=.tile.*?</a>", page.read_text(), re.DOTALL)
    ]
    links = {
        os.path.normpath(os.path.join(os.fsencode(clustered / "report"), unquote_to_bytes(unescape(link[1]))))
        for tile in tiles
        if (link := re.search(r'href="([^"]*)"', tile))
    }
    assert links == {os.fsencode(path) for path in folder.good}
    assert all("<img" in tile for tile in tiles)


def test_moved_files_come_home_under_their_own_names(tmp_path: Path) -> None:
    folder = hostile_folder.make(tmp_path / "photos")
    before = {path: _bytes(path) for path in folder.good}
    run(tmp_path, "extract", *WHAT)
    for k in ("2", "3"):
        assert answer("cluster", "--k", k, "--mode", "move", cwd=tmp_path)["images"] == len(folder.good)
    assert not any(map(os.path.exists, folder.good))
    answer("undo", "--all", cwd=tmp_path)
    assert {path: _bytes(path) for path in folder.good} == before


def test_names_do_no_harm_on_a_terminal_that_cannot_show_them(folder: HostileFolder, clustered: Path) -> None:
    similar, work = ("similar", "photos/-rf.png", "--top", EVERYTHING), folder.root.parent
    done = subprocess.run(
        [sys.executable, "-m", "imgcluster", *similar],
        cwd=work,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    for said in (done.stdout.decode("ascii"), imgcluster(*similar, cwd=work).stdout):
        lines = said.splitlines()
        assert len(lines) == len(folder.good)  # a heading, and all but the image itself
        assert all(line.isprintable() for line in lines)


def test_the_rest_works_as_well(folder: HostileFolder, clustered: Path) -> None:
    work = folder.root.parent
    assert answer("evaluate", "--labels", "folders", cwd=work)["images"] == len(folder.good)
    answer("store", "export", "-o", "vectors.npz", cwd=work)
    assert answer("similar", "photos/-rf.png", cwd=work)["similar"]
    assert answer("store", "info", cwd=work)["paths"] == len(folder.good)
    for page in [clustered / "report.html", *(clustered / "report").rglob("*.html")]:
        assert "<img src=x>" not in page.read_text()
        assert 'onerror="alert' not in page.read_text()


def test_a_second_run_reads_only_what_may_have_changed(
    folder: HostileFolder, extracted: dict[str, Any]
) -> None:
    again = run(folder.root.parent, "extract", *WHAT)
    assert (again["new"], again["cached"]) == (0, len(folder.good))
    assert again["failures"] == extracted["failures"]


def test_what_was_mended_is_embedded_though_only_its_permission_changed(
    folder: HostileFolder, extracted: dict[str, Any]
) -> None:
    mended = [path for path in folder.broken if os.path.basename(path) in {"forbidden.jpg", "empty.jpg"}]
    for number, path in enumerate(mended):
        os.chmod(path, 0o644)
        if not os.path.getsize(path):
            hostile_folder.write_image(folder.root / "empty.jpg", (30, 200, 30), noise=number)
    again = run(folder.root.parent, "extract", *WHAT)
    assert (again["new"], again["cached"]) == (2, len(folder.good))
    assert not set(mended) & {failure["path"] for failure in again["failures"]}
