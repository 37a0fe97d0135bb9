"""A key is the SHA-256 of a file's bytes."""

from __future__ import annotations

from imgcluster.images.hashing import content_key


def test_the_key_is_the_published_sha_256():
    assert content_key(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_equal_bytes_share_a_key_and_one_bit_makes_another():
    assert content_key(b"a" * 1000) == content_key(bytearray(b"a" * 1000))
    assert content_key(b"a" * 1000) != content_key(b"a" * 999 + b"b")
    assert len(content_key(b"")) == 32
