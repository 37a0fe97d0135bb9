"""Failures of the first layout, whose code and number of pixels are told by their wording, here only."""

from __future__ import annotations

import re

import numpy as np

from imgcluster.errors import FailureCode
from imgcluster.records import MOST
from imgcluster.store.schema import TABLES
from imgcluster.store.table import Entries

_TEMPORARY = 4
"""A bit of `flags` in the first layout."""

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


def with_codes(entries: Entries) -> Entries:
    """Give failures of the first layout their code; those that have one are given back as they are."""
    old = entries.columns
    if "code" in (old.dtype.names or ()):
        return entries
    columns = np.zeros(len(old), TABLES["failures"])
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
