"""Converted models in the user's cache, found by what went into them.

A model is a program, so it runs only where a signed index in its folder has the digests of its files.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from imgcluster.caches import PARTS, claim, temporary_folder, trim
from imgcluster.errors import ImgclusterError
from imgcluster.files import (
    is_folder,
    new_folder,
    open_regular,
    read_limited,
    sync_file,
    write_durably,
)
from imgcluster.held import Links, remove_all
from imgcluster.ownership import IN_MEMORY, Ownership, is_mine
from imgcluster.records import Notify

_INDEX = "index.json"
_MOST_BYTES = 1 << 16


def model_folder(identity: list[Any], make: Callable[[str], None], models: str | None, notify: Notify) -> str:
    """Give the folder named after `identity`, below `models`; `make` fills it unless it is as it was made.

    Without `models`, or where it cannot be written (`notify` is told), the model goes with the process.
    """
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    if models is not None:
        try:
            for folder in (os.path.dirname(models), models):
                claim(folder)
            owner = Ownership(os.path.dirname(models))
            if problem := owner.prepare():
                raise OSError(None, problem)  # noqa: TRY301 - told below
            return _made(models, name, make, owner, notify)
        except OSError as error:
            notify(f"cannot keep a converted model in {models}, so it is for this run only: {error.strerror}")
    return _made(temporary_folder("models"), name, make, IN_MEMORY, notify)


@contextmanager
def explaining_damage(model: str) -> Iterator[None]:
    """Around the reading of a model: ImgclusterError where it is damaged."""
    try:
        yield
    except (MemoryError, ImgclusterError):
        raise
    except Exception as error:
        raise ImgclusterError(
            f"the converted model {model} is damaged: delete it, and it is made again"
        ) from error


def _made(models: str, name: str, make: Callable[[str], None], owner: Ownership, notify: Notify) -> str:
    """Have a folder filled, so that it is there whole or not at all."""
    folder = os.path.join(models, name)
    if _is_as_made(folder, name, owner):
        return folder
    if os.path.lexists(folder):
        notify(f"{folder} is not as imgcluster made it: it is made again")
    temporary = new_folder(models)
    try:
        make(temporary)
        write_durably(os.path.join(temporary, _INDEX), _index(temporary, name, owner), private=True)
        for entry in (*os.scandir(temporary), temporary):  # what has its name is complete
            sync_file(os.fspath(entry))
        if not _is_as_made(folder, name, owner):  # else another process was quicker
            remove_all(folder, Links.ALL)
            os.rename(temporary, folder)
            if os.path.basename(models) in PARTS:
                trim(models)
    finally:
        remove_all(temporary, Links.ALL)
    return folder


def _is_as_made(folder: str, name: str, owner: Ownership) -> bool:
    try:
        if not is_folder(folder) or not is_mine(os.lstat(folder)):
            return False
        written = read_limited(os.path.join(folder, _INDEX), _MOST_BYTES)
        return hmac.compare_digest(written, _index(folder, name, owner))
    except OSError:
        return False


def _index(folder: str, name: str, owner: Ownership) -> bytes:
    """Write down the digests of all files in a folder, signed; the files are made this user's alone."""
    digests = {}
    for file in sorted(set(os.listdir(folder)) - {_INDEX}):
        path = os.path.join(folder, file)
        with os.fdopen(open_regular(path), "rb") as opened:
            os.fchmod(opened.fileno(), 0o600)
            digests[file] = hashlib.file_digest(opened, "sha256").hexdigest()
    data = json.dumps([name, digests])
    return json.dumps({"files": digests, "signature": owner.sign(b"model " + data.encode())}).encode()
