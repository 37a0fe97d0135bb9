"""An order and a choice of rows that depend on the keys alone, never on how the rows happen to lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgcluster.records import Keys

_WORD = np.dtype(">u8")


def key_order(keys: Keys) -> NDArray[np.intp]:
    """Give the rows in the order of their keys' bytes.

    Parameters
    ----------
    keys
        (N, 32) uint8.

    Returns
    -------
    (N,) intp: row ``order[i]`` has the i-th smallest key.
    """
    return np.lexsort(_words(keys).T[::-1])


def choose_rows(keys: Keys, count: int, seed: int) -> NDArray[np.intp]:
    """Choose `count` rows by their keys: the same images whatever their order, others for another seed.

    Parameters
    ----------
    keys
        (N, 32) uint8.
    count
        How many; all rows where there are no more.
    seed
        Any integer.

    Returns
    -------
    (min(count, N),) intp, rising.
    """
    if count >= len(keys):
        return np.arange(len(keys))
    order = np.lexsort((*_words(keys).T[::-1], _scramble(_fold(keys) ^ _scramble(np.uint64(seed % 2**64)))))
    return np.sort(order[:count])


def _words(keys: Keys) -> NDArray[np.uint64]:
    """(N, 32) bytes as (N, 4) numbers that compare as the bytes do."""
    return np.ascontiguousarray(keys).view(_WORD).astype(np.uint64).reshape(len(keys), -1)


def _fold(keys: Keys) -> NDArray[np.uint64]:
    folded = np.zeros(len(keys), np.uint64)
    for word in _words(keys).T:
        folded = _scramble(folded ^ word)
    return folded


def _scramble(values: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """Mix 64 bits thoroughly (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(values) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
