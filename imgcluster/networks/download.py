"""Fetch one file over the network, soon or not at all."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
import urllib.request
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import BinaryIO

from imgcluster.files import replacing
from imgcluster.records import Notify

_STEPS = 3
"""Before the first piece comes. A name look-up takes its time from them, for it cannot be given a limit."""

_BLOCK = 1 << 20
_TELL_SECONDS = 10.0


class DownloadError(Exception):
    """The reason why a file could not be fetched."""


def download(url: str, path: str, md5: str, seconds: float, notify: Notify = lambda _: None) -> None:
    """Fetch `url` to `path`, which appears only when it is whole and has the MD5 `md5`.

    `notify` is told now and then how much of it has come, where that takes long.

    Raises
    ------
    DownloadError
        A server that takes longer than `seconds` for a step, a transfer that breaks or ends early, another
        checksum, no room on the disk.
    """
    response = _open(url, seconds)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with response, replacing(path) as file:
            if _copy(response, file, notify) != md5:
                raise DownloadError("what came has another checksum than was published")
    except (OSError, HTTPException) as error:
        raise DownloadError(_reason(error, seconds)) from error


def _open(url: str, seconds: float) -> HTTPResponse:
    """Open `url`; in a thread, because looking up a name cannot be given a time limit."""
    answers: queue.SimpleQueue[HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=seconds))  # noqa: S310 - catalogue's https
        except (OSError, ValueError, HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_STEPS * seconds)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, Exception):
        raise DownloadError(_reason(answer, seconds)) from answer
    return answer


def _copy(response: HTTPResponse, file: BinaryIO, notify: Notify) -> str:
    checksum = hashlib.md5(usedforsecurity=False)
    total = response.length
    told, done = time.monotonic(), 0
    while done != total and (block := response.read1(_BLOCK)):  # as it comes: each piece has its own time
        checksum.update(block)
        file.write(block)
        done += len(block)
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            notify(f"fetched {done / 1e6:.0f} MB" + (f" of {total / 1e6:.0f}" if total else ""))
    if total is not None and done < total:
        raise IncompleteRead(b"", total - done)
    return checksum.hexdigest()


def _reason(error: Exception, seconds: float) -> str:
    cause = getattr(error, "reason", error)  # urllib wraps the system's error
    if isinstance(cause, TimeoutError):
        return f"no answer within {seconds:.0f} seconds"
    if isinstance(cause, IncompleteRead):
        return "the connection ended before all had come"
    reason = " ".join(str(getattr(cause, "strerror", None) or cause or type(error).__name__).split())
    return f"{cause.filename}: {reason}" if isinstance(cause, OSError) and cause.filename else reason
