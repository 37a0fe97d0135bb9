"""The data that crosses walls: small frozen dataclasses and protocols, known to every room."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode
from imgcluster.files import Expected
from imgcluster.tabular import Tabular

Keys = NDArray[np.uint8]
"""(N, 32) uint8: one SHA-256 digest of a file's bytes per row."""


def key_rows(keys: Iterable[bytes]) -> Keys:
    """Put keys one below the other."""
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)


def row_of_key(keys: Keys) -> dict[bytes, int]:
    """Give the row of each key."""
    return {bytes(key): row for row, key in enumerate(keys)}


Embeddings = NDArray[np.float32]
"""(N, D) float32: one embedding per row."""

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB; a batch is (N, H, W, 3)."""

PICTURE = np.dtype(
    [
        ("width", "<i4"),
        ("height", "<i4"),
        ("camera", "u1"),
        ("grey", "u1", (32, 32)),
        ("colour", "u1", (8, 8, 2)),
    ]
)
"""How an image looks: its size upright, whether it is as a camera made it, its grey at 32 x 32 pixels, and
its Cr and Cb at 8 x 8, each the mean of what it covers."""

Pictures = NDArray[np.void]
"""(N,) of `PICTURE`."""

CLUSTERING_MARKER = ".imgcluster.json"
"""The file by which a folder that `cluster` made is known; `find` leaves such folders out."""

STAT_GRANULARITY_NS = 2_000_000_000
"""The coarsest modification clock in use: FAT counts in steps of two seconds."""

MOST = (1 << 63) - 1
"""The largest number that a store keeps, in 64 bits."""


def mtime_ns(status: os.stat_result) -> int:
    """Return a file's modification time; of a year before 1678 or after 2261 the nearest that a store keeps.

    Recovered disks and shares without a clock have such times.
    """
    return min(max(status.st_mtime_ns, -MOST), MOST)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that may hold an image, as its folder entry describes it.

    `path` is absolute, decoded as `os.fsdecode` does (bytes that are not UTF-8 become surrogate escapes).
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read: `reason` is for people, `code` for decisions.

    `pixels` is how many it has, where the code is `TOO_LARGE`.
    """

    path: str
    reason: str
    code: FailureCode
    size: int = -1
    mtime_ns: int = -1
    pixels: int = 0


@dataclass(frozen=True, slots=True)
class PathEntry:
    """What the store remembers of one path: the file's stat when it was read, and the key of its bytes.

    `read_ns` is the wall clock just before the bytes were read. A file whose modification time lies within
    the clock's granularity of that moment may have been changed again without a trace, so its entry is not
    to be relied on ("racy git"). `inode` is that of the file that was read in this run, else 0.
    """

    path: str
    size: int
    mtime_ns: int
    read_ns: int
    key: bytes
    inode: int = field(default=0, compare=False)

    def describes(self, file: ImageFile) -> bool:
        """Whether `file` is certainly what was read: same size and time, no race with the clock."""
        return (
            self.size == file.size
            and self.mtime_ns == file.mtime_ns
            and self.mtime_ns < self.read_ns - STAT_GRANULARITY_NS
        )


@dataclass(frozen=True)
class FeatureSpace:
    """Everything that changes what an embedding means; two embeddings compare only within one space.

    Attributes
    ----------
    network
        Name in the catalogue.
    weights
        SHA-256 of the weights, in hex.
    input_size
        Side of the square that images are resized to, in pixels.
    pooling
        How the last feature map becomes a vector: ``avg``, ``max`` or ``flatten``.
    preprocessing
        Version of everything that happens between the file and the network's input.
    quantisation
        ``none``, or the SHA-256 of the quantised model, in hex.
    key_hash
        The hash that makes the keys.
    crop
        Share of the image's shorter side that the input shows, a square in its middle; 0: the whole image,
        squashed.
    interpolation
        How pixels are resized: ``area``, ``bilinear``, ``bicubic`` or ``lanczos``.
    normalisation
        Colour order, mean and standard deviation of the input, in words; empty for the networks whose name
        implies it.
    """

    network: str
    weights: str
    input_size: int
    pooling: str = "avg"
    preprocessing: int = 1
    quantisation: str = "none"
    key_hash: str = "sha256"
    crop: float = 0.0
    interpolation: str = "area"
    normalisation: str = ""

    @property
    def identity(self) -> dict[str, str | int | float]:
        """The parts by their names; those that came later only where they differ from what was before."""
        return {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default or field.name not in _LATER_PARTS
        }

    @property
    def name(self) -> str:
        """A short readable name, different for every space, such as ``inception_v3-299-avg-1a2b3c4d``."""
        identity = json.dumps(self.identity, sort_keys=True).encode()
        quantised = "" if self.quantisation == "none" else "-int8"
        digest = hashlib.sha256(identity).hexdigest()[:8]
        return f"{self.network}-{self.input_size}-{self.pooling}{quantised}-{digest}"


_LATER_PARTS = frozenset({"crop", "interpolation", "normalisation"})


@dataclass(frozen=True)
class StoredSpace:
    """A feature space as it lies in a store: how many embeddings, how long, of what type."""

    space: FeatureSpace
    rows: int
    dimension: int
    dtype: str

    @property
    def name(self) -> str:
        """The space's name."""
        return self.space.name


@dataclass(frozen=True)
class Run:
    """Provenance: one extraction as it was run. `details` holds what does not change what a vector means.

    (Precision, runtime, library versions, machine.) `started` is ISO 8601 in UTC.
    """

    started: str
    space: str
    new: int
    seconds: float
    details: Mapping[str, str] = field(default_factory=dict)


class EmbeddingNetwork(Protocol):
    """A loaded network without its classifier."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    @property
    def batch_size(self) -> int:
        """How many images one call takes at most; the call is quickest with exactly so many."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Precision, runtime and library versions, for the record of the run."""

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed a batch: (n, S, S, 3) uint8 RGB with 1 <= n <= batch_size to (n, D) float32.

        May be called from two threads at once.
        """


class NetworkSource(Protocol):
    """A network that is chosen but not loaded: its feature space is known, its library not yet imported."""

    @property
    def space(self) -> FeatureSpace:
        """The feature space that its embeddings belong to."""

    def load(self) -> EmbeddingNetwork:
        """Build the network and make it ready; takes seconds. NetworkUnavailable where that cannot be."""


class Progress(Protocol):
    """How a workflow tells what it does, and learns that the user wants it to stop."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a stage of `total` steps (unknown: None); it ends when the next begins."""

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """Count steps done, and how many of them failed."""

    def note(self, message: str) -> None:
        """Say one line that the user should read: a warning, a fallback, a recovery."""

    @property
    def stopping(self) -> bool:
        """Whether the user asked to stop (Ctrl-C): finish what is in hand and keep it."""

    def graceful_interrupt(self) -> AbstractContextManager[None]:
        """Around work that looks at `stopping`; anywhere else Ctrl-C breaks off whatever is going on."""


class SilentProgress:
    """The Progress of a script: says nothing, never stops."""

    stopping = False

    def note(self, message: str) -> None:
        """Ignore the message."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Ignore the stage."""

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """Ignore the steps."""

    def graceful_interrupt(self) -> AbstractContextManager[None]:
        """Leave Ctrl-C as it is."""
        return nullcontext()


SILENT = SilentProgress()


class EmbeddingSource(Protocol):
    """Embeddings of one space that can be read again and again, in one order, block by block.

    Small sets come as one block. `keys` has one row per embedding, in the same order.
    """

    @property
    def keys(self) -> Keys:
        """(N, 32) uint8."""

    @property
    def dimension(self) -> int:
        """D."""

    def blocks(self) -> Iterator[Embeddings]:
        """Yield (n, D) float32 blocks, n > 0, N rows in all."""


@dataclass(frozen=True)
class FeatureTransform:
    """The fitted steps from an embedding to a feature, or from features to the points that are clustered.

    The root of each number, its sign kept (if `roots`), L2 normalisation (if `normalise`), then
    (x - mean) @ components.T / scale (if `components` has rows), then L2 normalisation again (if
    `l2_after`).

    Attributes
    ----------
    mean
        (D,) float32, or empty.
    components
        (d, D) float32, orthonormal rows, or (0, D).
    scale
        (d,) float32: standard deviation per component, to the power of the whitening.
    """

    normalise: bool
    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    scale: NDArray[np.float32]
    l2_after: bool
    roots: bool = False


@dataclass(frozen=True)
class ClusterModel:
    """A finished clustering as `assign` needs it; all of it arrays and names, so that a file can hold it.

    Attributes
    ----------
    spaces
        Names of the feature spaces.
    transforms
        One per space; the features stand side by side in this order.
    centroids
        (k, d) float32: the mean of each cluster's points; row i is cluster i.
    fusion
        The step from features to points, if there is one.
    algorithm
        Name of the clusterer.
    fitted
        The arrays of the clusterer's own model.
    numbers
        (k,) int32: for each cluster the label that this model gives it.
    """

    spaces: tuple[str, ...]
    transforms: tuple[FeatureTransform, ...]
    centroids: NDArray[np.float32]
    fusion: FeatureTransform | None
    algorithm: str
    fitted: Mapping[str, NDArray[np.generic]]
    numbers: NDArray[np.int32]


@dataclass(frozen=True)
class Clustering:
    """What a clustering gives, one entry per distinct image (N) and per cluster (k).

    Clusters are numbered by their files, the largest is 0; equal ones are ordered by their smallest key.

    Attributes
    ----------
    keys
        (N, 32) uint8.
    labels
        (N,) int32, each in [0, k), or -1 where an image fits nowhere.
    distances
        (N,) float32, Euclidean, from each image to its centroid in the space of the points; from one that
        fits nowhere to the nearest.
    silhouettes
        (N,) float32 simplified silhouette (distance to the own against the nearest other centroid), NaN where
        there is one cluster or an image fits nowhere. In the space in which clusters are first looked for;
        the one that they refined would flatter them.
    probabilities
        (N,) float32: how sure it is that an image is in the cluster of its class (docs/analysis.md); NaN
        where there is one cluster or an image fits nowhere.
    inertia
        Sum of squared distances.
    silhouette
        Mean silhouette (sampled above 5,000 images), NaN where it is not defined.
    """

    keys: Keys
    labels: NDArray[np.int32]
    distances: NDArray[np.float32]
    silhouettes: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    inertia: float
    silhouette: float
    model: ClusterModel

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.model.centroids)


@dataclass(frozen=True)
class Evaluation(Tabular):
    """Agreement of clusters and classes.

    Attributes
    ----------
    images
        How many images were compared.
    accuracy
        Share of images in the cluster that is matched to their class, in the best one-to-one matching.
    errors
        How many are not.
    ari
        Adjusted Rand index (Hubert and Arabie 1985).
    nmi
        Mutual information over the mean of the two entropies.
    purity
        Share of images of their cluster's most frequent class.
    labels
        Class names, sorted.
    confusion
        (classes, clusters) int64, the columns in the order of `columns`: the clusters matched to
        the classes in the classes' order, then those without a class.
    matched
        For each class its cluster's number, None where there are fewer clusters than classes.
    columns
        For each column its cluster's number.
    """

    images: int
    accuracy: float
    errors: int
    ari: float
    nmi: float
    purity: float
    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    matched: tuple[int | None, ...]
    columns: tuple[int, ...]

    def table(self) -> dict[str, Any]:
        """Give the confusion: a row for each class, a column for each cluster."""
        counts = {f"cluster {number}": self.confusion[:, at] for at, number in enumerate(self.columns)}
        return {"label": self.labels, **counts}


@dataclass(frozen=True, slots=True)
class NamedCluster:
    """A cluster as people know it; `size` counts files, and the name is empty where nobody gave one."""

    number: int
    name: str
    size: int

    @property
    def title(self) -> str:
        """Number and name."""
        return f"{self.number} {self.name}".rstrip()

    @property
    def reference(self) -> str:
        """What edits call it: its name or, without one, its number."""
        return self.name or str(self.number)


@dataclass(frozen=True, slots=True)
class Placement:
    """One image file and its cluster; `original` is where it came from, `path` where it lies now.

    The two differ only after ``--mode move``. `shown` is where the cluster folder shows it, as a link
    or copy; empty as long as that is not decided. `expected` is the file at `path` as it was compared with
    the key: no other one may be put into folders.
    """

    path: str
    original: str
    key: bytes
    cluster: int
    distance: float
    silhouette: float = float("nan")
    shown: str = ""
    probability: float = math.nan
    expected: Expected | None = field(default=None, compare=False, repr=False)

    @property
    def places(self) -> tuple[str, str]:
        """Where it may be found: its own place, and its copy or link in the clustering."""
        return self.path, self.shown or self.path

    @property
    def seen_at(self) -> str:
        """The first of `places` where there is a file; where there is none, its own."""
        return next(filter(os.path.exists, self.places), self.path)


def json_number(value: float) -> float | None:
    """NaN as None, for JSON has no NaN."""
    return None if np.isnan(value) else float(value)


Notify = Callable[[str], None]
"""Takes one line that the user should read."""
