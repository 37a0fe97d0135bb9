"""A file that the user named replaces what the same command wrote before, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pytest
from fakes import write_image
from interruption import Interruption

from imgcluster.errors import ImgclusterError
from imgcluster.output.plots import PLOT_KINDS, PLOT_MARK, sweep_plot
from imgcluster.output.single_file import check_target, replacing_named, write_file

if TYPE_CHECKING:
    from pathlib import Path

TABLE = b"path,reason\na.jpg,damaged\n"
OTHERS = {
    "a feature store": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a photograph": b"\xff\xd8\xff\xe0" + bytes(100),
    "another table": b"path,label\na.jpg,cat\n",
    "the same table with a column more": b"path,reason,checked\na.jpg,damaged,yes\n",
    "text": b"my notes on path,reason\n",
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_another_wrote_is_refused_and_stays(tmp_path: Path, what: str) -> None:
    path = tmp_path / "out"
    path.write_bytes(OTHERS[what])
    with pytest.raises(ImgclusterError, match=re.escape(str(path))):
        write_file(str(path), TABLE)
    with pytest.raises(ImgclusterError, match="holds something else"):
        write_file(str(path), b"picture with a mark", b"a mark")
    assert path.read_bytes() == OTHERS[what]


@pytest.mark.parametrize("data", [b"", b"one line"])
def test_data_without_a_first_line_replace_nothing_else_either(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(TABLE)
    with pytest.raises(ImgclusterError, match="holds something else"):
        write_file(str(path), data)


def test_an_earlier_file_of_the_command_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    for data in (TABLE, b"path,reason\r\n", TABLE):
        write_file(str(path), data)
        assert path.read_bytes() == data
    picture = tmp_path / "picture"
    for data in (b"1 with a mark", b"2 with a mark"):
        write_file(str(picture), data, b"a mark")
        assert picture.read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == ["failed.csv", "picture"]


def test_an_empty_file_is_used_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch(mode=0o600)
    write_file(str(path), TABLE)
    assert path.read_bytes() == TABLE
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_and_a_place_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImgclusterError, match="is a folder"):
        write_file(str(tmp_path), TABLE)
    with pytest.raises(ImgclusterError, match="nowhere/out: No such file"):
        write_file(str(tmp_path / "nowhere" / "out"), TABLE)
    with pytest.raises(ImgclusterError, match="nowhere/out: No such file"):
        check_target(str(tmp_path / "nowhere" / "out"), TABLE)


def test_a_link_stays_a_link_and_what_it_leads_to_is_looked_at(tmp_path: Path) -> None:
    photo = write_image(tmp_path / "photo.png", (1, 2, 3))
    before = photo.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(photo)
    with pytest.raises(ImgclusterError, match="holds something else"):
        write_file(str(link), TABLE)
    assert photo.read_bytes() == before
    link.unlink()
    link.symlink_to(tmp_path / "table.csv")
    write_file(str(link), TABLE)
    assert link.is_symlink()
    assert (tmp_path / "table.csv").read_bytes() == TABLE


def test_a_device_can_be_written_to() -> None:
    write_file("/dev/null", TABLE)
    assert not os.path.isfile("/dev/null")


def test_no_file_takes_the_place_of_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImgclusterError, match="is a device"), replacing_named(str(tmp_path / "pipe"), TABLE):
        pass
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("after", [False, True])
def test_whatever_stops_it_leaves_the_old_or_the_new_and_no_litter(tmp_path: Path, *, after: bool) -> None:
    path = tmp_path / "failed.csv"
    old, new = TABLE, TABLE + b"b.jpg,empty\n"

    def stop() -> None:
        raise KeyboardInterrupt

    for at in range(1, 100):
        path.write_bytes(old)
        with pytest.MonkeyPatch.context() as patch:
            interruption = Interruption(patch.setattr, at, stop, after=after)
            with contextlib.suppress(KeyboardInterrupt):
                write_file(str(path), new)
        assert path.read_bytes() in (old, new)
        assert len(os.listdir(tmp_path)) == 1 or at > 2  # the removal itself was stopped
        if not interruption.happened:
            break
    assert at > 3


@pytest.mark.parametrize("kind", PLOT_KINDS)
def test_a_plot_is_known_as_ours(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"plot.{kind}"
    data = sweep_plot([2], [5.0], [0.5], [0.9], 2, kind=kind)
    for _ in range(2):
        write_file(str(path), data, PLOT_MARK)
        assert path.read_bytes() == data


@pytest.mark.parametrize("first", ["table", "pipe", "link"])
@pytest.mark.parametrize("write", ["table", "archive"])
def test_what_takes_the_place_of_a_file_after_it_was_looked_at_is_not_written(
    tmp_path: Path, first: str, write: str
) -> None:
    """S10: where a link leads is found out once, and what is no file is not emptied."""
    at, happened = 1, True
    while happened:
        folder = tmp_path / str(at)
        path, private = folder / "shared" / "out", folder / "private"
        path.parent.mkdir(parents=True)
        private.mkdir()
        (private / "out").write_bytes(b"private")
        if first == "pipe":
            path.symlink_to("/dev/null")
        else:
            (path.with_name("target") if first == "link" else path).write_bytes(TABLE)
            if first == "link":
                path.symlink_to("target")

        def exchange(path: Path = path, private: Path = private, at: int = at) -> None:
            if at % 2:
                path.unlink()
                path.symlink_to(private / "out")
            else:
                path.parent.rename(f"{path.parent}-away")
                path.parent.symlink_to(private)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(ImgclusterError, OSError):
            # Between a look and the act lies a look at where it leads, too.
            step = Interruption(patch.setattr, at, exchange)
            patch.setattr(os.path, "realpath", step._wrapped(os.path.realpath, after=True))
            if write == "table":
                write_file(str(path), TABLE)
            else:
                with replacing_named(str(path), TABLE) as file:
                    file.write(TABLE)
        assert (private / "out").read_bytes() == b"private"
        assert os.listdir(private) == ["out"]
        happened = step.happened
        at += 1
