"""What can go wrong in a foreseeable way; each message is one line that says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ImgclusterError(Exception):
    """Something could not be done; the message is written for the person at the terminal."""

    exit_code = 1
    failures: Sequence[tuple[str, str]] = ()
    """Paths and reasons, where single files are to blame."""


class UsageError(ImgclusterError):
    """Options that contradict each other or have values that can never work."""

    exit_code = 2


class UnreadableImage(ImgclusterError):
    """One file that could not be turned into pixels; the message is the reason, without the path.

    `temporary` marks trouble that may pass without the file changing: it is tried again on every run.
    """

    def __init__(self, reason: str, *, temporary: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary


class NothingReadable(ImgclusterError):
    """There were images, but none of them could be read; `failures` are their paths and reasons."""

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        path, reason = failures[0]
        super().__init__(f"none of {len(failures)} images could be read; the first: {path}: {reason}")
        self.failures = failures


class Interrupted(ImgclusterError):
    """The user asked to stop; the message says what was kept."""

    exit_code = 130


class StoreError(ImgclusterError):
    """The feature store could not be opened, read or written."""


class StoreLocked(StoreError):
    """Another process holds the feature store."""


class NotFinite(ImgclusterError):
    """Among embeddings are values that are no numbers."""

    def __init__(self) -> None:
        super().__init__(
            "an embedding is not finite: extract into another store with "
            "--precision float32, or with other weights"
        )


class MissingExtra(ImgclusterError):
    """An optional library is needed for what was asked."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f'{purpose} needs an optional part: pip install "imgcluster[{extra}]"')
