"""What is kept between runs and can be made again: shown, limited, and gone when asked or of no use."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from clusterings import Desk, desk_with_photos
from in_process import answer, imgcluster

from imgcluster import caches
from imgcluster.cli.places import thumbnail_folder
from imgcluster.workflows.options import PruneOptions, ReportOptions
from imgcluster.workflows.report import report
from imgcluster.workflows.store import prune


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "imgcluster"


def write(path: Path, size: int, age: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, ns=(10**18 - age * 10**9,) * 2)
    return path


def test_a_command_shows_how_much_it_is_and_removes_it(cache: Path) -> None:
    write(cache / "thumbnails" / "ab" / "abc.jpg", 100)
    write(cache / "models" / "name" / "model.bin", 2000)
    write(cache / "models" / "name" / "model.xml", 30)
    (cache / "key").write_bytes(b"secret")
    shown = answer("store", "cache", cwd=cache)
    assert (shown["folder"], shown["cleared"]) == (str(cache), False)
    counted = {part["name"]: (part["files"], part["bytes"]) for part in shown["parts"]}
    assert counted == {"thumbnails": (1, 100), "models": (2, 2030)}
    assert answer("store", "cache", "--clear", cwd=cache)["parts"] == shown["parts"]
    assert os.listdir(cache) == ["key"]
    done = imgcluster("store", "cache", cwd=cache)
    assert (done.exit_code, "models          0      0" in done.stdout) == (0, True)


def test_links_that_somebody_put_there_are_not_followed(cache: Path, tmp_path: Path) -> None:
    precious = write(tmp_path / "precious" / "a.jpg", 10)
    cache.mkdir()
    (cache / "thumbnails").symlink_to(precious.parent)
    caches.clear(str(cache))
    assert precious.exists()
    assert not os.path.lexists(cache / "thumbnails")


@pytest.mark.parametrize("part", ["thumbnails", "models"])
def test_what_was_made_first_goes_where_there_is_too_much(
    cache: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(caches.MOST_BYTES, part, 250)
    for age in range(4):
        path = write(cache / part / f"{age}0" / "a.jpg", 100, age)
        os.utime(path.parent, ns=(10**18 - age * 10**9,) * 2)
    caches.trim(str(cache / part))
    left = sorted(str(path.relative_to(cache / part)) for path in (cache / part).rglob("*.jpg"))
    assert left == ["00/a.jpg", "10/a.jpg"]
    monkeypatch.setitem(caches.MOST_BYTES, part, 1)
    caches.trim(str(cache / part))
    assert len(list((cache / part).rglob("*.jpg"))) == 1


def test_thumbnails_of_pictures_that_are_gone_go_with_their_rows(cache: Path, tmp_path: Path) -> None:
    desk: Desk = desk_with_photos(tmp_path / "desk", 2)
    desk.extract()
    desk.cluster()
    report(ReportOptions(clusters=str(desk.out), store=desk.store), thumbnails=thumbnail_folder())
    kept = list((cache / "thumbnails").rglob("*.jpg"))
    assert len(kept) == 6
    shutil.rmtree(desk.photos / "red")
    shutil.rmtree(desk.out)
    prune(PruneOptions(store=desk.store), thumbnails=thumbnail_folder())
    assert len(list((cache / "thumbnails").rglob("*.jpg"))) == 4


def test_json_is_whole(cache: Path) -> None:
    done = imgcluster("store", "cache", "--json", cwd=cache.parent)
    assert [part["bytes"] for part in json.loads(done.stdout)["parts"]] == [0, 0]


def test_a_cache_behind_a_link_of_somebody_else_is_neither_cleared_nor_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S16."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a link to another user")
    precious = write(tmp_path / "work" / "models" / "a.bin", 10)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "imgcluster").symlink_to(tmp_path / "work")
    os.lchown(shared / "imgcluster", 12345, 12345)
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    assert imgcluster("store", "cache", "--clear", cwd=tmp_path).exit_code == 1
    with pytest.raises(PermissionError):
        caches.claim(str(shared / "imgcluster" / "made"))
    assert precious.exists()
    assert os.listdir(tmp_path / "work") == ["models"]
