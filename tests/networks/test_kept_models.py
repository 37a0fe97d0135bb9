"""S16: whatever lies in the cache of converted models runs only where its signed digest agrees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgcluster.networks.kept_models import model_folder

MODEL = {"model.xml": b"<net><layer type='Convolution'/></net>", "model.bin": b"weights"}


def make(folder: str) -> None:
    for name, data in MODEL.items():
        Path(folder, name).write_bytes(data)


def kept(cache: Path, said: list[str]) -> Path:
    return Path(model_folder(["network"], make, str(cache / "models"), said.append))


def holds(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in os.listdir(folder) if name != "index.json"}


FORGERIES = {
    "damaged": lambda folder, _: (folder / "model.xml").write_bytes(b"<?xml"),
    "another graph": lambda folder, _: (folder / "model.xml").write_bytes(
        MODEL["model.xml"].replace(b"Convolution", b"Exec")
    ),
    "other weights": lambda folder, _: (folder / "model.bin").write_bytes(b"\1" * 9),
    "one more file": lambda folder, _: (folder / "more").write_bytes(b""),
    "one file less": lambda folder, _: (folder / "model.bin").unlink(),
    "a link": lambda folder, cache: (
        (folder / "model.bin").rename(cache / "elsewhere"),
        (folder / "model.bin").symlink_to(cache / "elsewhere"),
    ),
    "no index": lambda folder, _: (folder / "index.json").unlink(),
    "another key": lambda _, cache: (cache / "key").unlink(),
    "a linked folder": lambda folder, cache: (
        folder.rename(cache / "elsewhere"),
        folder.symlink_to(cache / "elsewhere"),
    ),
}


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_model_that_is_not_as_it_was_made_is_named_and_made_again(tmp_path: Path, forge: str) -> None:
    said: list[str] = []
    folder = kept(tmp_path, said)
    assert (holds(folder), said) == (MODEL, [])
    FORGERIES[forge](folder, tmp_path)
    for made_again in (1, 0):
        assert kept(tmp_path, said) == folder
        assert not folder.is_symlink()
        assert holds(folder) == MODEL
        assert said == [f"{folder} is not as imgcluster made it: it is made again"] * made_again
        said.clear()


def test_the_cache_is_this_users_alone(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = kept(cache, [])
    modes = {entry.name: entry.lstat().st_mode & 0o777 for entry in (cache, *cache.rglob("*"))}
    assert modes == {name: 0o700 if name in {"cache", "models", model.name} else 0o600 for name in modes}


@pytest.mark.parametrize("what", ["cache", "models"])
def test_a_cache_that_others_can_write_to_becomes_this_users(tmp_path: Path, what: str) -> None:
    cache = tmp_path / "cache"
    kept(cache, [])
    folder = cache / "models" if what == "models" else cache
    folder.chmod(0o777)
    kept(cache, [])
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("what", ["cache", "models", "link"])
def test_a_cache_of_another_user_is_not_used(tmp_path: Path, what: str) -> None:
    cache, said = tmp_path / "cache", list[str]()
    (cache / "models").mkdir(parents=True)
    if what == "link":
        (cache / "models").rename(tmp_path / "real")
        (cache / "models").symlink_to(tmp_path / "real")
    os.lchown(cache if what == "cache" else cache / "models", 12345, 12345)
    folder = kept(cache, said)
    assert said[0].startswith(f"cannot keep a converted model in {cache}/models")
    assert holds(folder) == MODEL
    assert not [entry for entry in tmp_path.rglob("*") if entry.name in MODEL]
