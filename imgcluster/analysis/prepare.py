"""From embeddings to points in which k-means finds the groups that people see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.covariance import Components, chunk_rows, principal_components
from imgcluster.analysis.ordering import choose_rows, key_order
from imgcluster.analysis.tiles import each_tile, row_norms
from imgcluster.analysis.wide import WIDE, affordable_wide_rows, wide_components
from imgcluster.errors import NotFinite
from imgcluster.records import Preparation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from imgcluster.records import Embeddings, EmbeddingSource, Keys

FEWEST_DIMENSIONS = 16
MOST_DIMENSIONS = 64
IMAGES_PER_DIMENSION = 10
WHITENING = 0.5
COVARIANCE_ROWS = 1 << 13
"""So many settle the largest components of thousands of dimensions; of more rows, some are chosen by key."""

_NO_VECTOR = np.zeros(0, np.float32)


@dataclass(frozen=True)
class PrepareSettings:
    """How embeddings are prepared.

    Attributes
    ----------
    how
        ``auto``: roots, unit length, principal components, half whitening, unit length again. ``l2``: unit
        length. ``none``: as they come.
    pca
        Number of principal components instead of the automatic one; with ``l2`` or ``none`` it adds the step.
    whiten
        Power of the standard deviation that each component is divided by: 0 not at all, 1 fully.
    """

    how: str = "auto"
    pca: int | None = None
    whiten: float | None = None

    @property
    def automatic(self) -> bool:
        """Whether everything is left to choose: then all spaces are joined, and the space is sharpened."""
        return self.how == "auto" and self.pca is None and self.whiten in (None, WHITENING)


def fit_preparation(
    source: EmbeddingSource,
    settings: PrepareSettings,
    *,
    clusters: int | None = None,
    memory: int | None = None,
) -> Preparation:
    """Fit the steps from an embedding to a point.

    Parameters
    ----------
    source
        N rows of D numbers, all finite.
    settings
        Which steps.
    clusters
        How many clusters are looked for, if it is known: more of them need more dimensions.
    memory
        Bytes that there are; with few, components of many thousands of dimensions are fitted on fewer rows.

    Raises
    ------
    NotFinite
        Where an embedding holds a number that is not finite.
    """
    automatic = settings.how == "auto"
    steps = _Steps(
        roots=automatic,
        normalise=settings.how != "none",
        dimensions=_dimensions(settings, clusters),
        whitening=settings.whiten if settings.whiten is not None else WHITENING * automatic,
        normalise_again=automatic,
    )
    return _fit(source, steps, memory)


def fit_features(
    source: EmbeddingSource, settings: PrepareSettings, memory: int | None = None
) -> Preparation:
    """Fit one space's part of a preparation: all of it, or, where all is automatic, what joining begins with.

    That is roots, unit length and as many components as the number of images supports, not yet whitened.
    """
    if not settings.automatic:
        return fit_preparation(source, settings, memory=memory)
    count = min(MOST_DIMENSIONS, max(FEWEST_DIMENSIONS, len(source.keys) // IMAGES_PER_DIMENSION))
    steps = _Steps(roots=True, normalise=True, dimensions=count, whitening=0, normalise_again=False)
    return _fit(source, steps, memory)


@dataclass(frozen=True)
class _Steps:
    """What a preparation consists of, before it is fitted."""

    roots: bool
    normalise: bool
    dimensions: int
    whitening: float
    normalise_again: bool


def _fit(source: EmbeddingSource, steps: _Steps, memory: int | None) -> Preparation:
    if steps.dimensions == 0 or len(source.keys) < 2:
        empty = np.zeros((0, source.dimension), np.float32)
        return Preparation(
            steps.normalise, _NO_VECTOR, empty, _NO_VECTOR, normalise_again=False, roots=steps.roots
        )
    unit = 1.0 if steps.normalise else _longest(source)
    found = _components(source, steps, unit, memory)
    return Preparation(
        normalise=steps.normalise,
        mean=(found.mean * unit).astype(np.float32),
        components=found.axes.astype(np.float32),
        scale=((np.sqrt(found.variances) * unit) ** steps.whitening).astype(np.float32),
        normalise_again=steps.normalise_again,
        roots=steps.roots,
    )


def apply_preparation(preparation: Preparation, embeddings: Embeddings) -> NDArray[np.float32]:
    """Prepare embeddings; each row's answer is the same, within rounding, whatever rows stand beside it.

    Parameters
    ----------
    preparation
        As fitted.
    embeddings
        (N, D) float32. A row of zeros stays at zero length, it is not divided.

    Returns
    -------
    (N, d) float32.
    """
    rows = np.ascontiguousarray(embeddings, np.float32)
    step = preparation.components
    points = np.empty((len(rows), len(step) or rows.shape[1]), np.float32)
    matrix = np.ascontiguousarray(step.T)
    centre = (step.astype(np.float64) @ preparation.mean if len(step) else _NO_VECTOR).astype(np.float32)

    def prepare(place: slice, tile: NDArray[np.float32]) -> None:
        with _quietly():
            if preparation.roots:
                tile = signed_roots(tile)
            # Projecting first and dividing by the length afterwards spares a pass over the wide rows.
            answer = tile @ matrix if len(step) else tile
            if preparation.normalise:
                answer = answer / _divisors(tile)
            if len(step):
                answer = (answer - centre) / preparation.scale
            if preparation.normalise_again:
                answer = unit_length(answer)
        points[place] = answer[: place.stop - place.start]

    each_tile(rows, prepare)
    return points


def automatic_dimensions(clusters: int | None) -> int:
    """Give how many principal components ``auto`` takes where so many clusters are looked for."""
    return min(MOST_DIMENSIONS, max(FEWEST_DIMENSIONS, clusters or 0))


def signed_roots(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the root of each number of (N, D), its sign kept.

    Embeddings are rectified activations, a few of them very large; roots let the many small ones count
    (power normalisation: Perronnin, Sánchez and Mensink 2010).
    """
    if not (rows < 0).any():
        return np.sqrt(rows)
    return np.copysign(np.sqrt(np.abs(rows)), rows)


def unit_length(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each row of (N, D) by its length; a row of zeros stays as it is."""
    return np.asarray(rows / _divisors(rows), np.float32)


def finite_rows(source: EmbeddingSource) -> NDArray[np.bool_]:
    """Tell which rows hold finite numbers only: (N,) bool in the order of the source."""
    parts = [_finite(block) for block in source.blocks()]
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


def _finite(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    finite = np.empty(len(rows), np.bool_)

    def look(place: slice, tile: NDArray[np.float32]) -> None:
        finite[place] = np.isfinite(tile[: place.stop - place.start]).all(axis=1)

    each_tile(rows, look)
    return finite


def _dimensions(settings: PrepareSettings, clusters: int | None) -> int:
    if settings.pca is not None:
        return settings.pca
    return automatic_dimensions(clusters) if settings.how == "auto" else 0


def _components(source: EmbeddingSource, steps: _Steps, unit: float, memory: int | None) -> Components:
    wide = source.dimension > WIDE
    most = affordable_wide_rows(source.dimension, steps.dimensions, memory) if wide else COVARIANCE_ROWS
    chosen = np.zeros(len(source.keys), np.bool_)
    chosen[choose_rows(source.keys, most, seed=0)] = True
    blocks = _chosen_blocks(source, chosen, steps, unit)
    if not wide:
        return principal_components(blocks, int(chosen.sum()), steps.dimensions)
    return wide_components(_gathered(blocks, source.keys[chosen], source.dimension), steps.dimensions)


def _gathered(blocks: Iterator[NDArray[np.float32]], keys: Keys, dimension: int) -> NDArray[np.float32]:
    """(n, D): all rows of the blocks, in the order of their keys."""
    place = np.argsort(key_order(keys))
    gathered = np.empty((len(keys), dimension), np.float32)
    start = 0
    for block in blocks:
        gathered[place[start : start + len(block)]] = block
        start += len(block)
    return gathered


def _chosen_blocks(
    source: EmbeddingSource, chosen: NDArray[np.bool_], steps: _Steps, unit: float
) -> Iterator[NDArray[np.float32]]:
    for rows in _regrouped(_chosen_rows(source, chosen)):
        yield _on_unit_sphere(rows, steps, unit)


def _chosen_rows(source: EmbeddingSource, chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.float32]]:
    start = 0
    for block in source.blocks():
        inside = chosen[start : start + len(block)]
        start += len(block)
        yield block if inside.all() else block[inside]


def _regrouped(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Join blocks to larger ones, for their products are taken faster."""
    held: list[NDArray[np.float32]] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= chunk_rows(block.shape[1]):
            yield np.concatenate(held) if len(held) > 1 else held[0]
            held = []
    if sum(map(len, held)):
        yield np.concatenate(held)


def _on_unit_sphere(rows: NDArray[np.float32], steps: _Steps, unit: float) -> NDArray[np.float32]:
    """Bring rows to unit length, or (where lengths are to count) divide all by one length."""
    result = np.empty_like(rows)

    def bring(place: slice, tile: NDArray[np.float32]) -> None:
        with _quietly():
            if steps.roots:
                tile = signed_roots(tile)
            answer = tile / (_divisors(tile) if steps.normalise else np.float32(unit))
        if not np.isfinite(answer).all():
            raise NotFinite
        result[place] = answer[: place.stop - place.start]

    each_tile(rows, bring)
    return result


def _longest(source: EmbeddingSource) -> float:
    longest = [float(row_norms(block).max()) for block in source.blocks()]
    if not np.isfinite(longest).all():
        raise NotFinite
    return max(longest) or 1.0


def _quietly() -> np.errstate:
    """Around arithmetic on rows that may hold values that are no numbers: whoever finds them says so."""
    return np.errstate(invalid="ignore", over="ignore")


def _divisors(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give what brings each row to unit length: (N, 1), one where the row is zero."""
    norms = row_norms(rows)[:, None]
    norms[norms == 0] = 1
    return norms
