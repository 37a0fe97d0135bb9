"""From embeddings to features: roots, unit length, principal components, whitening, for one feature space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import Watched, key_order
from imgcluster.analysis.parallel import each_tile
from imgcluster.analysis.pca import principal_components
from imgcluster.records import FeatureTransform

FEWEST_DIMENSIONS = 16
MOST_DIMENSIONS = 64
IMAGES_PER_DIMENSION = 10
WHITENING = 0.5
SAMPLED_ROWS = 1 << 13
"""So many settle the largest components of thousands of dimensions."""
_WIDE = 4096
"""Rows of more dimensions are wide: so many of them as settle components may fill the memory."""
_MOST_WIDE_ROWS = 2048
_FEWEST_WIDE_ROWS = 256
_ROWS_PER_COMPONENT = 4
_COLUMNS = 8192
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
        """Whether everything is left to choose: then all spaces are fused, and the fusion is refined."""
        return self.how == "auto" and self.pca is None and self.whiten in {None, WHITENING}


def fit_transform(source: Watched, settings: PrepareSettings) -> FeatureTransform:
    """Fit one space's part of a preparation, or, where all is automatic, what a fusion begins with.

    That is roots, unit length and as many components as the number of images supports, not yet whitened.

    Parameters
    ----------
    source
        N rows of D numbers; rows that are not finite are not looked at. With little memory, components of
        many thousands of dimensions are fitted on fewer rows.
    settings
        Which steps.
    """
    roots, normalise = settings.how == "auto", settings.how != "none"
    count, whitening = settings.pca or 0, settings.whiten or 0.0
    if settings.automatic:
        count = min(MOST_DIMENSIONS, max(FEWEST_DIMENSIONS, len(source.keys) // IMAGES_PER_DIMENSION))
    elif settings.how == "auto":
        count = settings.pca or FEWEST_DIMENSIONS
        whitening = WHITENING if settings.whiten is None else settings.whiten
    rows = _sampled_rows(source, count) if count else np.zeros((0, source.dimension), np.float32)
    if len(rows) < 2:
        empty = np.zeros((0, source.dimension), np.float32)
        return FeatureTransform(normalise, _NO_VECTOR, empty, _NO_VECTOR, l2_after=False, roots=roots)
    start = FeatureTransform(normalise, _NO_VECTOR, rows[:0], _NO_VECTOR, l2_after=False, roots=roots)
    found = principal_components(transform(start, rows), count)
    return FeatureTransform(
        normalise=normalise,
        mean=found.mean.astype(np.float32),
        components=found.axes.astype(np.float32),
        scale=(np.sqrt(found.variances) ** whitening).astype(np.float32),
        l2_after=roots and not settings.automatic,
        roots=roots,
    )


def transform(
    steps: FeatureTransform, rows: NDArray[np.float32], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Apply the steps; each row's answer is the same, within rounding, whatever rows stand beside it.

    Parameters
    ----------
    steps
        As fitted.
    rows
        (N, D) float32. A row of zeros stays at zero length, it is not divided; one that is not finite does
        not become so.
    out
        (N, d) float32 to write into.

    Returns
    -------
    (N, d) float32.
    """
    components = steps.components
    points = np.empty((len(rows), len(components) or rows.shape[1]), np.float32) if out is None else out
    matrix = np.ascontiguousarray(components.T)
    centre = (components.astype(np.float64) @ steps.mean if len(components) else _NO_VECTOR).astype(
        np.float32
    )

    def apply(place: slice, tile: NDArray[np.float32]) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            if steps.roots:
                tile = power_normalize(tile)
            # Projecting first and dividing by the length afterwards spares a pass over the wide rows.
            answer = tile @ matrix if len(components) else tile
            if steps.normalise:
                answer = answer / _divisors(tile)
            if len(components):
                answer = (answer - centre) / steps.scale
            if steps.l2_after:
                answer = unit_length(answer)
        points[place] = answer[: place.stop - place.start]

    each_tile(np.ascontiguousarray(rows, np.float32), apply)
    return points


def automatic_dimensions(clusters: int) -> int:
    """Give how many principal components a fusion takes where so many clusters are looked for."""
    return min(MOST_DIMENSIONS, max(FEWEST_DIMENSIONS, clusters))


def power_normalize(rows: NDArray[np.float32]) -> NDArray[np.float32]:
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


def wide_rows(dimension: int, components: int, memory: int | None) -> int:
    """Give how many rows of so many dimensions are enough for the components, and fit half the memory."""
    fitting = _MOST_WIDE_ROWS if memory is None else memory // (2 * 4 * dimension)
    return max(_FEWEST_WIDE_ROWS, _ROWS_PER_COMPONENT * components, min(fitting, _MOST_WIDE_ROWS))


def _sampled_rows(source: Watched, components: int) -> NDArray[np.float32]:
    """(n, D): the first rows in the order of their keys, but for those that are not finite."""
    most = (
        wide_rows(source.dimension, components, source.memory) if source.dimension > _WIDE else SAMPLED_ROWS
    )
    chosen = key_order(source.keys)[:most]
    place = np.full(len(source.keys), -1)
    place[chosen] = np.arange(len(chosen))
    gathered = np.empty((len(chosen), source.dimension), np.float32)
    start = 0
    for block in source.blocks():
        targets = place[start : start + len(block)]
        gathered[targets[targets >= 0]] = block[targets >= 0]
        start += len(block)
    broken = source.broken[chosen]
    return gathered[~broken] if broken.any() else gathered


def _divisors(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give what brings each row to unit length: (N, 1), one where the row is zero."""
    squares = np.zeros(len(rows), np.float32)
    for start in range(0, rows.shape[1], _COLUMNS):  # of longer rows, one alone is summed in another order
        part = rows[:, start : start + _COLUMNS]
        squares += np.einsum("ij,ij->i", part, part)
    norms = np.sqrt(squares)[:, None]
    norms[norms == 0] = 1
    return norms
