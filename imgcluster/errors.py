"""What can go wrong in a foreseeable way; each message is one line that says what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum


def quantity(number: int, noun: str, plural: str = "") -> str:
    """Say how many: ``1 image``, ``2 images``, ``2 copies``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def install_command(extra: str) -> str:
    """Say how an optional part is installed; there is no published distribution, only the clone."""
    return f"pip install '.[{extra}]'"


class ImgclusterError(Exception):
    """Something could not be done; the message is written for the person at the terminal."""

    exit_code = 1
    failures: Sequence[tuple[str, str]] = ()
    """Paths and reasons, where single files are to blame."""


@contextmanager
def explained(what: str, advice: str = "") -> Iterator[None]:
    """Around what the system may refuse: an ImgclusterError says what could not be done, and its reason."""
    try:
        yield
    except OSError as error:
        raise ImgclusterError(f"{what}: {error.strerror or error}{advice}") from error


class ChangedMeanwhile(ImgclusterError):
    """Another run has changed the clustering since it was read; nothing was done."""


class UsageError(ImgclusterError):
    """Options that contradict each other or have values that can never work."""

    exit_code = 2


class FailureCode(StrEnum):
    """Why a file was not read: what decides whether, and how, it is tried again.

    Stores keep the values. A new one is a new version of their schema, for older releases do not know it.
    """

    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    """Its end is missing, and `--accept-truncated` takes what is there."""
    TOO_LARGE = "too_large"
    """More pixels than the limit."""
    UNSUPPORTED = "unsupported"
    MISSING_LIBRARY = "missing_library"
    NOT_AN_IMAGE = "not_an_image"
    NOT_A_FILE = "not_a_file"
    """A folder, a pipe, a link in a circle …"""
    CRASHED_DECODER = "crashed_decoder"
    """Ended the process that decoded it, twice: never to be decoded in this process again."""
    EMPTY = "empty"
    CHANGED = "changed"
    """While it was read."""
    VANISHED = "vanished"
    IO_ERROR = "io_error"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    INTERNAL = "internal"
    """An exception that nobody foresaw, which is a fault of ours and not of the file."""

    @property
    def temporary(self) -> bool:
        """Whether it may pass without the file changing: such a file is tried again on every run."""
        return self in _TEMPORARY


_TEMPORARY = frozenset(
    {
        FailureCode.EMPTY,
        FailureCode.CHANGED,
        FailureCode.VANISHED,
        FailureCode.IO_ERROR,
        FailureCode.TIMED_OUT,
        FailureCode.OUT_OF_MEMORY,
        FailureCode.INTERNAL,
    }
)


class UnreadableImage(ImgclusterError):
    """One file that could not be turned into pixels; the message is the reason, without the path.

    `pixels` is how many it has, where the code is `TOO_LARGE`.
    """

    def __init__(self, reason: str, code: FailureCode, pixels: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.pixels = pixels

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, FailureCode, int]]:
        return type(self), (str(self), self.code, self.pixels)


class NoImages(ImgclusterError):
    """There was not one image where some were looked for."""


class NothingReadable(ImgclusterError):
    """There were images, but none of them could be read; `failures` are their paths and reasons."""

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        path, reason = failures[0]
        which = "" if len(failures) == 1 else f"; the first of {len(failures)}"
        super().__init__(f"nothing could be read{which}: {path}: {reason}")
        self.failures = failures


class Interrupted(ImgclusterError):
    """The user asked to stop; the message says what was kept."""

    exit_code = 130


class StoreError(ImgclusterError):
    """The feature store could not be opened, read or written."""


class StoreLocked(StoreError):
    """Another process holds the feature store."""


class NotFinite(ImgclusterError):
    """Embeddings hold NaN or infinity."""

    def __init__(self, which: str = "every embedding") -> None:
        super().__init__(
            f"{which} holds NaN or infinity: extract into another store with --precision float32 and "
            "--dtype float32, or with other weights"
        )


class NetworkUnavailable(ImgclusterError):
    """A network that was chosen cannot be loaded, as where its weights do not fit."""


class MissingExtra(ImgclusterError):
    """An optional library is needed for what was asked."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional part: {install_command(extra)} in the clone")
