"""Whatever stops a report, at whatever step, every later command works, and no file of others is touched."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal

import pytest
from cluster_files import contents, images, make, photograph, placed
from forks import end_of, fork
from interruption import Interruption

from imgcluster.errors import ImgclusterError
from imgcluster.output import staged_install as staging
from imgcluster.output.contents import examine
from imgcluster.output.marker import read_marker
from imgcluster.output.undo import undo
from imgcluster.records import SilentProgress

PLACES = ("report.html", "report")
OLD = {"report.html": b"old", "report/only-old.html": b"1", "report/both.html": b"2", "report/old/a": b"3"}
NEW = {"report.html": b"new", "report/both.html": b"4", "report/new/b": b"5"}


def clustering(root):
    sources = [photograph(root / "photos" / f"{i}.jpg", f"image {i}") for i in range(4)]
    placements = [placed(s, i % 2) for i, s in enumerate(sources)]
    make(placements, root / "clusters")
    return placements


def add(out, files, since=None):
    with staging.staged_install(str(out), PLACES, since or read_marker(str(out)), lambda _: None) as folder:
        for name, data in files.items():
            photograph(os.path.join(folder, name), data)


def report_in(out):
    return {name: data for name, data in contents(out).items() if name.startswith("report")}


def check_later_commands(root, placements):
    """Nothing is in the way of another clustering, nor of taking it away."""
    make(placements, root / "clusters")
    assert len(images(root / "clusters")) == 4
    assert report_in(root / "clusters") == {}
    undo(str(root / "clusters"), progress=SilentProgress())
    assert os.listdir(root) == ["photos"]


def test_files_that_are_added_replace_those_of_before_and_are_ours(tmp_path):
    placements = clustering(tmp_path)
    out = tmp_path / "clusters"
    add(out, OLD)
    assert report_in(out) == OLD
    add(out, NEW)
    assert report_in(out) == NEW
    assert sorted(os.listdir(out / "report")) == ["both.html", "new"]
    assert examine(str(out), read_marker(str(out))).unowned == []
    check_later_commands(tmp_path, placements)


def test_after_an_exception_those_of_before_are_there(tmp_path):
    placements = clustering(tmp_path)
    out = tmp_path / "clusters"
    add(out, OLD)
    before = contents(out)
    with pytest.raises(IsADirectoryError):
        add(out, {"report.html": b"half", "report/": b""})
    assert contents(out) == before
    check_later_commands(tmp_path, placements)


@pytest.mark.parametrize("after", [False, True])
def test_ctrl_c_at_any_step_leaves_the_old_or_the_new(tmp_path, after):
    for at in range(1, 200):
        root = tmp_path / str(at)
        placements = clustering(root)
        add(root / "clusters", OLD)

        def stop():
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            interruption = Interruption(patch.setattr, at, stop, after=after)
            with contextlib.suppress(KeyboardInterrupt):
                add(root / "clusters", NEW)
        assert report_in(root / "clusters") in (OLD, NEW)
        assert examine(str(root / "clusters"), read_marker(str(root / "clusters"))).unowned == []
        check_later_commands(root, placements)
        if not interruption.happened:
            break
        shutil.rmtree(root)
    assert 20 < at < 199


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_takes_no_marker_keeps_the_old(tmp_path, monkeypatch, number):
    placements = clustering(tmp_path)
    out = tmp_path / "clusters"
    add(out, OLD)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(staging, "write_marker", refuse)
        with pytest.raises(OSError, match=os.strerror(number)):
            add(out, NEW)
    assert report_in(out) == OLD
    check_later_commands(tmp_path, placements)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
def test_kill_9_at_any_step_is_in_nobodys_way(tmp_path, every):
    for number, at in enumerate(range(1, 200, every)):
        root = tmp_path / str(at)
        placements = clustering(root)
        add(root / "clusters", OLD)

        def build(root=root, at=at):
            Interruption(setattr, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
            add(root / "clusters", NEW)

        killed = end_of(fork(build)) == -signal.SIGKILL
        assert examine(str(root / "clusters"), read_marker(str(root / "clusters"))).unowned == []
        if number % 2:
            add(root / "clusters", NEW)
            assert report_in(root / "clusters") == NEW
        check_later_commands(root, placements)
        if not killed:
            break
        shutil.rmtree(root)
    assert 20 < at < 199


@pytest.mark.parametrize("name", ["report.html", "report/both.html", "report/new", "report"])
def test_a_file_of_somebody_else_is_named_and_stays(tmp_path, name):
    clustering(tmp_path)
    out = tmp_path / "clusters"
    photograph(out / name, b"mine")
    with pytest.raises(ImgclusterError, match=f"{out / name} was not put there by imgcluster"):
        add(out, NEW)
    assert report_in(out) == {name: b"mine"}


def test_a_page_that_was_edited_is_somebodys_work(tmp_path):
    clustering(tmp_path)
    out = tmp_path / "clusters"
    add(out, OLD)
    photograph(out / "report" / "both.html", b"with remarks")
    with pytest.raises(ImgclusterError, match=r"both\.html was not put there by imgcluster, or was changed"):
        add(out, NEW)
    assert report_in(out) == OLD | {"report/both.html": b"with remarks"}


def test_a_link_out_of_the_clustering_is_not_followed(tmp_path):
    clustering(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "clusters" / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImgclusterError, match="report was not put there"):
        add(tmp_path / "clusters", NEW)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_clustering_that_was_replaced_meanwhile_gets_no_report_of_the_old_one(tmp_path):
    placements = clustering(tmp_path)
    out = tmp_path / "clusters"
    marker = read_marker(str(out))
    make(placements, out)
    with pytest.raises(ImgclusterError, match="was clustered again meanwhile"):
        add(out, NEW, since=marker)
    assert report_in(out) == {}
    undo(str(out), progress=SilentProgress())
    make(placements, out)
    with pytest.raises(ImgclusterError, match="was clustered again meanwhile"):
        add(out, NEW, since=marker)
    check_later_commands(tmp_path, placements)
