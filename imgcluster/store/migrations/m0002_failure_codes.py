"""Failures have a code, and pictures that are too large their number of pixels.

What was recorded before is given them by its wording, here and nowhere else.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np

from imgcluster.errors import FailureCode
from imgcluster.records import MOST
from imgcluster.store import schema
from imgcluster.store.table import Entries, append_entries, read_entries

_TEMPORARY = 4
"""A bit of `flags` in the first layout."""

_FAILURES: list[Any] = [
    *(("offset", "<i8"), ("length", "<i4"), ("flags", "u1"), ("size", "<i8"), ("mtime_ns", "<i8")),
    *(("code", "S24"), ("pixels", "<i8"), ("crc32", "<u4")),
]

_TOO_LARGE = re.compile(rb"(\d+) x (\d+) pixels ")

_WORDINGS = (
    (rb"\d+ x \d+ pixels .*--max-pixels", FailureCode.TOO_LARGE),
    (rb".*--accept-truncated", FailureCode.TRUNCATED),
    (rb".*imgcluster\[heic\]", FailureCode.MISSING_LIBRARY),
    (rb"ended the process that decoded it", FailureCode.CRASHED_DECODER),
    (rb"gave no answer", FailureCode.TIMED_OUT),
    (rb"not enough memory", FailureCode.OUT_OF_MEMORY),
    (rb"could not be decoded:", FailureCode.INTERNAL),
    (rb"not an image", FailureCode.NOT_AN_IMAGE),
    (rb"an empty file", FailureCode.EMPTY),
    (rb"changed while", FailureCode.CHANGED),
    (rb"the file is gone|a symbolic link to nothing", FailureCode.VANISHED),
    (rb".*not a (regular )?file|a symbolic link|the name is too long|a name that no", FailureCode.NOT_A_FILE),
    (rb"larger than \d+ MiB|a JPEG of \d+ bits", FailureCode.UNSUPPORTED),
)


def migrate(file: h5py.File) -> None:
    """Give the failures their new columns; their texts stay where they are."""
    entries = read_entries(schema.open_table(file, "failures"))
    if entries.damaged:
        raise ValueError(f"{entries.damaged} entries of the table of failures")
    del file["failures"]
    schema.create_table(file, "failures", np.dtype(_FAILURES))
    append_entries(file["failures"], with_codes(entries))


def with_codes(entries: Entries) -> Entries:
    """Give failures of the first layout their code; those that have one are given back as they are."""
    old = entries.columns
    if "code" in (old.dtype.names or ()):
        return entries
    columns = np.zeros(len(old), np.dtype(_FAILURES))
    for name in old.dtype.names or ():
        columns[name] = old[name]
    columns["flags"] &= ~np.uint8(_TEMPORARY)
    reasons = [text.partition(b"\0")[2] for text in entries.texts]
    temporary = (old["flags"] & _TEMPORARY != 0).tolist()
    columns["code"] = [_code(*told).encode() for told in zip(reasons, temporary, strict=True)]
    columns["pixels"] = list(map(_pixels, reasons))
    return Entries(columns, entries.texts, entries.damaged)


def _code(reason: bytes, temporary: bool) -> FailureCode:  # noqa: FBT001 - one column of two
    told = next((code for wording, code in _WORDINGS if re.match(wording, reason)), None)
    if told is not None and told.temporary >= temporary:
        return told
    return FailureCode.IO_ERROR if temporary else FailureCode.DAMAGED


def _pixels(reason: bytes) -> int:
    size = _TOO_LARGE.match(reason)
    return min(int(size[1]) * int(size[2]), MOST) if size else 0
