"""Files of the program's own: whole or not at all, and never through what others put in their place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import stat

import pytest
from interruption import Interruption

from imgcluster import files, held
from imgcluster.files import (
    file_digest,
    has_digest,
    is_temporary,
    lies_below,
    open_regular,
    read_limited,
    replacing,
    sync_file,
    temporary_name,
    write_durably,
)
from imgcluster.store.store import FeatureStore


def planted(folder, what):
    """Somebody else's thing where a file of ours is looked for."""
    path = folder / "state"
    target = folder / "precious"
    target.write_bytes(b"precious")
    if what == "a link":
        path.symlink_to(target)
    elif what == "a link to nothing":
        path.symlink_to(folder / "made")
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    return str(path)


PLANTED = ["a link", "a link to nothing", "a pipe", "a folder", "a device"]


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_TRUNC])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, what, flags):
    path = planted(tmp_path, what)
    with pytest.raises(OSError, match=f"{path}"):
        open_regular(path, flags)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "made").exists()


def test_a_second_name_is_refused_for_writing_only(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    os.link(tmp_path / "precious", tmp_path / "state")
    with pytest.raises(OSError, match="second name"):
        open_regular(str(tmp_path / "state"), os.O_WRONLY | os.O_TRUNC)
    assert read_limited(str(tmp_path / "state"), 100) == b"precious"


def test_no_more_is_read_than_the_limit(tmp_path):
    path = str(tmp_path / "state")
    write_durably(path, b"12345")
    assert read_limited(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_limited(path, 4)
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than"):
        read_limited(path, 1 << 30)


@pytest.mark.parametrize("what", PLANTED)
def test_a_write_replaces_links_and_pipes_but_never_what_they_lead_to(tmp_path, what):
    path = planted(tmp_path, what)
    with contextlib.suppress(IsADirectoryError):
        write_durably(path, b"state")
        assert read_limited(path, 100) == b"state"
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["precious", "state"]


@pytest.mark.parametrize("after", [False, True])
def test_whatever_stops_a_write_leaves_the_old_or_the_new_and_nothing_else(tmp_path, after):
    path = tmp_path / "state"

    def stop():
        raise KeyboardInterrupt

    for at in range(1, 100):
        path.write_bytes(b"old")
        with pytest.MonkeyPatch.context() as patch:
            interruption = Interruption(patch.setattr, at, stop, after=after)
            with contextlib.suppress(KeyboardInterrupt):
                write_durably(str(path), b"new")
        assert path.read_bytes() in (b"old", b"new")
        assert os.listdir(tmp_path) == ["state"]
        if not interruption.happened:
            break
    assert at > 4


def test_after_an_exception_in_the_block_the_old_file_is_there(tmp_path):
    write_durably(str(tmp_path / "state"), b"old")

    def write_half():
        with replacing(str(tmp_path / "state")) as file:
            file.write(b"ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert (tmp_path / "state").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_permissions_follow_the_umask_then_the_file_that_is_replaced(tmp_path):
    umask = os.umask(0o027)
    try:
        write_durably(str(tmp_path / "shared"), b"1")
        write_durably(str(tmp_path / "private"), b"1", private=True)
        modes = {name: os.stat(tmp_path / name).st_mode & 0o777 for name in ("shared", "private")}
        assert modes == {"shared": 0o640, "private": 0o600}
        os.chmod(tmp_path / "shared", 0o664)
        write_durably(str(tmp_path / "shared"), b"2")
        assert os.stat(tmp_path / "shared").st_mode & 0o777 == 0o664
    finally:
        os.umask(umask)


def test_temporary_names_are_known_again_and_never_foreseen(tmp_path):
    names = {os.path.basename(temporary_name(str(tmp_path))) for _ in range(100)}
    assert len(names) == 100
    assert all(map(is_temporary, names))
    assert not any(map(is_temporary, ("a.jpg", ".imgcluster-.part", ".imgcluster-0123456789abcdef.new")))


def test_a_file_system_that_cannot_sync_is_no_reason_to_fail(tmp_path, monkeypatch):
    def fails(number):
        def refuse(_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", refuse)

    for number in (errno.EINVAL, errno.ENOTSUP):
        fails(number)
        write_durably(str(tmp_path / "state"), b"data")
        sync_file(str(tmp_path))
    fails(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_durably(str(tmp_path / "state"), b"other")
    assert (tmp_path / "state").read_bytes() == b"data"


def test_a_digest_is_of_the_bytes_and_waits_for_nothing(tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    digest = hashlib.sha256(b"data").hexdigest()
    assert file_digest(str(tmp_path / "link")) == digest
    assert has_digest(str(tmp_path / "a"), digest)
    assert not any(has_digest(str(tmp_path / name), digest) for name in ("pipe", "gone", "."))


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/a/b", "/", True),
        ("/", "/", True),
    ],
)
def test_a_path_lies_below_a_folder_by_whole_names(path, folder, below):
    assert lies_below(path, ["/else", folder]) is below
    assert not lies_below(path, [])


@pytest.mark.parametrize(
    "number",
    [errno.EINVAL, errno.ENOTSUP, errno.ENOTTY, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS],
)
@pytest.mark.parametrize("when", ["open", "sync"])
def test_a_folder_that_the_system_will_not_sync_is_no_reason_to_fail(tmp_path, monkeypatch, number, when):
    """As on shares, and where a folder may be written but not listed."""
    opened, synced = os.open, os.fsync

    def refuse_open(path, flags, *more, **within):
        if os.path.isdir(path) and when == "open" and not flags & os.O_PATH:
            raise OSError(number, os.strerror(number), path)
        return opened(path, flags, *more, **within)

    def refuse_sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and when == "sync":
            raise OSError(number, os.strerror(number))
        synced(descriptor)

    monkeypatch.setattr(os, "open", refuse_open)
    monkeypatch.setattr(os, "fsync", refuse_sync)
    write_durably(str(tmp_path / "a"), b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    with FeatureStore(tmp_path / "features.h5", "a") as store:
        store.commit()
    assert FeatureStore(tmp_path / "features.h5").spaces == ()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_folder_whose_disk_fails_is_told_about(tmp_path, monkeypatch, number):
    synced = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_durably(str(tmp_path / "a"), b"whole")


def test_what_cannot_be_made_is_called_by_the_name_that_it_would_have_had(tmp_path, monkeypatch):
    def refuse(*_arguments, **_more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / temporary[0]))

    temporary = [".imgcluster-part"]
    monkeypatch.setattr(files, "temporary_name", lambda _: temporary[0])
    monkeypatch.setattr(files, "create", refuse)
    with pytest.raises(OSError, match="No space") as refused:
        files.write_durably(str(tmp_path / "table.csv"), b"data")
    assert refused.value.filename == str(tmp_path / "table.csv")


def test_a_lock_that_is_forbidden_is_not_waited_for(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with pytest.raises(PermissionError):
        files.lock_within(0, math.inf, lambda: None)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES])
def test_the_reason_why_a_folder_cannot_be_opened_is_told(tmp_path, monkeypatch, number):
    def refuse(path, *arguments, **more):
        if path == "deep":
            raise OSError(number, os.strerror(number), path)
        return opened(path, *arguments, **more)

    opened = os.open
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as refused:
        held.make_folders(str(tmp_path / "deep" / "er"))
    assert not isinstance(refused.value, held.WayRefusedError)
    assert refused.value.filename == str(tmp_path / "deep" / "er")


def test_errors_in_folders_that_are_held_open_tell_whole_paths(tmp_path):
    one, other = tmp_path / "one" / "a", tmp_path / "other" / "a"
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(b"")
    for act, paths in (
        (held.hard_link, (one, other)),
        (held.rename_held, (one, other)),
        (lambda s, t: t.symlink("x"), (other, None)),
        (lambda s, t: t.mkdir(), (other, None)),
        (lambda s, t: s.rmdir(), (one, None)),
        (lambda s, t: t.beside("b").lstat(), (other.with_name("b"), None)),
        (lambda s, t: t.beside("b").unlink(), (other.with_name("b"), None)),
        (lambda s, t: s.readlink(), (one, None)),
        (lambda s, t: files.create(t.beside("a")), (other, None)),
        (files.copy_new, (other, None)),
    ):
        with (
            held.at(str(one)) as source,
            held.at(str(other)) as target,
            pytest.raises(OSError, match=str(tmp_path)) as error,
        ):
            act(source, target)
        expected = tuple(path and str(path) for path in paths)
        assert (error.value.filename, error.value.filename2) == expected


def test_an_error_in_removing_a_tree_tells_the_whole_path(tmp_path, monkeypatch):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "a").write_bytes(b"")

    def refuse(*_arguments, **_more):
        raise PermissionError(errno.EACCES, "denied", "a")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError) as error:
        held.remove_all(str(tmp_path / "tree"))
    assert error.value.filename == str(tmp_path / "tree" / "deep" / "a")


def test_a_copy_does_not_run_as_its_owner(tmp_path):
    """What somebody else made runs as he, and the copy would run as this user."""
    source, copy = tmp_path / "a.jpg.sh", tmp_path / "copy"
    source.write_bytes(b"#!")
    source.chmod(0o6755)
    files.copy_new(str(source), str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o755
