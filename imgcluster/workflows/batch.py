"""A batch of files on its way into the store, and the one who says which images need no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.child import ChildDied, TimedOut
from imgcluster.engines.protocol import Outcome
from imgcluster.errors import FailureCode, NetworkUnavailable, UnreadableImage, quantity
from imgcluster.records import (
    EmbeddingNetwork,
    Embeddings,
    Failure,
    ImageFile,
    Keys,
    PathEntry,
    Pictures,
    Pixels,
)

if TYPE_CHECKING:
    from imgcluster.workflows.read_image import ReadImage

_FILES_PER_BATCH = 1024
"""A batch is also complete with that many files that need no network, so that their paths are kept soon."""


class KnownKeys:
    """The one who says which images need no network: those that are stored, and those under way in this run.

    Threads may ask, for keys and for digests of what makes a picture; only the loop of the pipeline claims.

    Parameters
    ----------
    stored
        The keys that have an embedding.
    picture_keys
        The digest of what makes the picture, for any keys of which it is known.
    """

    def __init__(
        self, stored: Iterable[bytes] | Keys = (), picture_keys: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._stored = frozenset(map(bytes, stored))
        self._claimed: set[bytes] = set()
        known = (picture_keys or {}).items()
        self._pictures = {picture: key for key, picture in known if picture and key in self._stored}

    def __contains__(self, key: object) -> bool:
        return key in self._stored or key in self._claimed or key in self._pictures

    def is_stored(self, key: bytes) -> bool:
        """Whether the embedding was there before this run."""
        return key in self._stored

    def claim(self, key: bytes, picture: bytes = b"") -> bytes | None:
        """Give the key whose embedding this image has; None where the first who asks is to make it."""
        if key in self._stored or key in self._claimed:
            return key
        self._claimed.add(key)
        shown = self._pictures.setdefault(picture, key) if picture else key
        return None if shown == key else shown


@dataclass
class Batch:
    """Files that go through the stages together, each once: in `entries` or in `failures`.

    Attributes
    ----------
    with_pages
        How many files have further pages.
    picture_keys
        What makes the picture, by the keys.
    copies
        Keys whose image is the same as that of another, with that one's key.
    keys, pixels
        Of the images that need the network.
    embeddings
        (n, D) float32, which come in the place of the pixels: a row for each key.
    pictures
        How those look that were decoded, by their keys.
    """

    entries: list[PathEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    with_pages: int = 0
    picture_keys: dict[bytes, bytes] = field(default_factory=dict)
    copies: list[tuple[bytes, bytes]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    pixels: list[Pixels] = field(default_factory=list)
    embeddings: Embeddings | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    pictures: dict[bytes, Pictures] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The files that it accounts for."""
        return [file.path for files in (self.entries, self.failures) for file in files]

    def add(self, read: Outcome[ImageFile, ReadImage], known: KnownKeys) -> None:
        """Gather what became of a file."""
        image = read.result
        if image is None:
            self.failures.append(_failure(read.item, read.error))
            return
        key = image.entry.key
        self.entries.append(image.entry)
        if image.picture is not None:
            self.pictures[key] = image.picture
        if image.note:
            self.notes.append(f"{image.entry.path}: {image.note}")
        self.with_pages += image.pages > 1
        self.picture_keys[key] = image.picture_key
        if self._is_new(key, known) and image.pixels is not None:
            self.keys.append(key)
            self.pixels.append(image.pixels)

    def is_full(self, network: EmbeddingNetwork | None) -> bool:
        """Whether it is time for the network, or for what needs none to be stored."""
        files = len(self.entries) + len(self.failures)
        has_pixels = network is not None and len(self.pixels) == network.batch_size
        return has_pixels or files - len(self.pixels) >= _FILES_PER_BATCH

    def embed(self, network: EmbeddingNetwork) -> None:
        """Turn pixels into rows."""
        size = network.batch_size
        parts = [self.pixels[at : at + size] for at in range(0, len(self.pixels), size)]
        if parts:
            self.embeddings = np.concatenate([_rows(network, np.stack(part)) for part in parts])
            self.provenance = dict(network.provenance)
        self.pixels = []

    def without(self, known: KnownKeys) -> Batch:
        """Leave out rows that others have brought since."""
        self.copies = []
        new = [self._is_new(key, known) for key in self.keys]
        for entry in self.entries:
            self._is_new(entry.key, known)
        if self.embeddings is not None and not all(new):
            self.keys = [key for key, is_new in zip(self.keys, new, strict=True) if is_new]
            self.embeddings = self.embeddings[new]
        return self

    def _is_new(self, key: bytes, known: KnownKeys) -> bool:
        """Whether an image is to be embedded; where another has its picture, that is gathered."""
        shown = known.claim(key, self.picture_keys.get(key, b""))
        if shown not in (None, key):
            self.copies.append((key, shown))
        return shown is None


def _failure(file: ImageFile, error: Exception | None) -> Failure:
    """Say why a file was not read."""
    pixels = 0
    if isinstance(error, UnreadableImage):
        reason, code, pixels = str(error), error.code, error.pixels
    elif isinstance(error, TimedOut):
        reason, code = str(error), FailureCode.TIMED_OUT
    elif isinstance(error, ChildDied):
        reason, code = f"ended the process that decoded it, twice ({error})", FailureCode.CRASHED_DECODER
    elif isinstance(error, MemoryError):
        reason, code = "not enough memory to read it", FailureCode.OUT_OF_MEMORY
    else:
        reason, code = f"could not be decoded: {type(error).__name__}: {error}", FailureCode.INTERNAL
    return Failure(file.path, reason, code, file.size, file.mtime_ns, pixels)


def _rows(network: EmbeddingNetwork, pixels: Pixels) -> Embeddings:
    """Embed, and make sure that it is what the network says, for a store would keep anything."""
    rows = np.asarray(network.embed(pixels))
    gives = f"the network gives {rows.shape} {rows.dtype} for {quantity(len(pixels), 'image')}"
    if rows.shape != (len(pixels), network.dimension) or rows.dtype.kind not in "fiu":
        raise NetworkUnavailable(
            f"{gives}, though it says that its vectors have {network.dimension} numbers: nothing of that is "
            "kept"
        )
    if not rows.any() and pixels.any():
        raise NetworkUnavailable(f"{gives}, nothing but zeros: nothing of that is kept")
    return rows.astype(np.float32, copy=False)
