"""Bytes of regular files, or a reason; never a wait on something that is no file."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from imgcluster.errors import UnreadableImage
from imgcluster.images.file_bytes import content_key, read_file

if TYPE_CHECKING:
    from pathlib import Path


def refused(path: str | Path, **options: int) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as refusal:
        read_file(str(path), **options)
    assert "\n" not in str(refusal.value)
    return refusal.value


def test_all_bytes_come_back(tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_file(str(tmp_path / "a.jpg")) == content


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"line\nbreak.jpg", b"-rf.jpg", b" ", b"x" * 251 + b".jpg"])
def test_any_name_can_be_read(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"content")
    assert read_file(os.fsdecode(path)) == b"content"


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe" in str(refused(tmp_path / "pipe.jpg"))


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        assert "socket" in str(refused(tmp_path / "socket.jpg"))


def test_a_device_and_a_folder_are_refused(tmp_path):
    assert "device" in str(refused("/dev/zero"))
    assert "folder" in str(refused(tmp_path))


def test_a_file_that_is_gone_may_come_back(tmp_path):
    refusal = refused(tmp_path / "gone.jpg")
    assert str(refusal) == "the file is gone"
    assert refusal.code.temporary
    assert isinstance(refusal, UnreadableImage)


def test_an_empty_file_may_be_filled_later(tmp_path):
    (tmp_path / "empty.jpg").touch()
    refusal = refused(tmp_path / "empty.jpg")
    assert "empty" in str(refusal)
    assert refusal.code.temporary


def test_links_that_lead_nowhere_are_refused(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nothing.jpg")
    assert "circle" in str(refused(tmp_path / "loop.jpg"))
    assert "gone" in str(refused(tmp_path / "dangling.jpg"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"content")
    (tmp_path / "secret.jpg").chmod(0)
    refusal = refused(tmp_path / "secret.jpg")
    assert "permission" in str(refusal)
    assert refusal.code.temporary, "who gives the permission changes neither size nor modification time"


def test_a_denied_opening_reads_as_a_matter_of_permission(tmp_path, monkeypatch):
    def deny(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert "permission" in str(refused(tmp_path / "secret.jpg"))


def test_trouble_with_the_drive_is_temporary(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"content")

    def fail(*_arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    refusal = refused(tmp_path / "a.jpg")
    assert "Input/output error" in str(refusal)
    assert refusal.code.temporary


def test_a_file_above_the_limit_is_refused_unread(tmp_path):
    (tmp_path / "big.jpg").write_bytes(bytes(2 << 20))
    assert "1 MiB" in str(refused(tmp_path / "big.jpg", max_bytes=1 << 20))


@pytest.mark.parametrize("change", ["shrinks", "grows"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, change):
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(1000))
    read = os.read

    def read_while_it_changes(descriptor: int, count: int) -> bytes:
        os.truncate(path, 400 if change == "shrinks" else 2000)
        return read(descriptor, count)

    monkeypatch.setattr(os, "read", read_while_it_changes)
    refusal = refused(path)
    assert "changed" in str(refusal)
    assert refusal.code.temporary


def test_no_descriptor_is_left_open(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.jpg").write_bytes(b"content")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        read_file(str(tmp_path / "a.jpg"))
        refused(tmp_path / "pipe.jpg")
    assert len(os.listdir("/proc/self/fd")) <= before + (threading.active_count() - 1)


def test_a_name_with_a_zero_byte_is_refused():
    assert "name" in str(refused("a\0b.jpg"))


def test_the_key_is_the_published_sha_256():
    assert content_key(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_equal_bytes_share_a_key_and_one_bit_makes_another():
    assert content_key(b"a" * 1000) == content_key(bytearray(b"a" * 1000))
    assert content_key(b"a" * 1000) != content_key(b"a" * 999 + b"b")
    assert len(content_key(b"")) == 32
