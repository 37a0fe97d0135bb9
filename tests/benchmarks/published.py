"""Methods of others, as published, for the tables of `skewed.py`: embeddings and k to labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Embeddings, EmbeddingSource, SilentProgress

OUTER, INNER, GAMMA, RATE = 250, 10, 10.0, 0.01


def hdbscan_on_map(sources: Sequence[EmbeddingSource], k: int, seed: int) -> NDArray[np.int32]:
    """Lay unit-length embeddings out in a plane by openTSNE; find clusters there by HDBSCAN, -1: noise."""
    from openTSNE import TSNE
    from sklearn.cluster import HDBSCAN

    rows = np.concatenate([unit(each) for each in embeddings(sources)], axis=1)
    rows = rows - rows.mean(axis=0)
    few = rows @ np.linalg.svd(rows, full_matrices=False)[2][:50].T
    xy = np.asarray(TSNE(perplexity=30, n_jobs=1, random_state=seed).fit(few))
    return HDBSCAN(min_cluster_size=max(5, len(xy) // 50)).fit_predict(xy).astype(np.int32)


def turtle(sources: Sequence[EmbeddingSource], k: int, seed: int) -> NDArray[np.int32]:
    """TURTLE (Gadetsky, Jiang and Brbić 2024), from the clusters of k-means on.

    For each space s a task head q_s = softmax(g V_s / |V_s| z_s + b_s); tau is the mean of q_s. Ten Adam
    steps of linear classifiers W_s on tau, then one Adam step of the heads on
    sum_s CE(W_s z_s, tau) - gamma sum_s H(mean q_s): the entropy asks for clusters of one size.
    """
    start = cluster(
        sources,
        [str(number) for number in range(len(sources))],
        PrepareSettings(),
        ClusterSettings(k, "minibatch-kmeans", seed),
        SilentProgress(),
    ).labels
    spaces = [_standardised(each) for each in embeddings(sources)]
    targets = np.eye(k)[start]
    heads = [_Head(z, targets) for z in spaces]
    classifiers = [_Adam(np.zeros((k, z.shape[1] + 1))) for z in spaces]
    for _ in range(OUTER):
        tasks = [head.forward() for head in heads]
        tau = sum(tasks) / len(tasks)
        logs = []
        for z, adam in zip(spaces, classifiers, strict=True):
            for _ in range(INNER):
                adam.step((_softmax(_linear(adam.value, z)) - tau).T @ _with_one(z) / len(z))
            logs.append(_log_softmax(_linear(adam.value, z)))
        by_tau = -sum(logs) / len(tau)
        for head, task in zip(heads, tasks, strict=True):
            mean = task.mean(axis=0)
            head.backward(by_tau / len(heads) + GAMMA * (np.log(mean + 1e-12) + 1) / len(task))
    return (sum(head.forward() for head in heads)).argmax(axis=1).astype(np.int32)


PUBLISHED = {"turtle": turtle, "hdbscan on a map": hdbscan_on_map}


def embeddings(sources: Sequence[EmbeddingSource]) -> list[Embeddings]:
    """Give all rows of each space."""
    return [np.concatenate(list(source.blocks())) for source in sources]


def unit(rows: Embeddings) -> Embeddings:
    """Give each row unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


class _Adam:
    """A parameter, and Kingma and Ba's step."""

    def __init__(self, value: NDArray[np.float64]) -> None:
        self.value = value
        self._mean = np.zeros_like(value)
        self._square = np.zeros_like(value)
        self._count = 0

    def step(self, gradient: NDArray[np.float64]) -> None:
        self._count += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient**2 - self._square)
        mean = self._mean / (1 - 0.9**self._count)
        square = self._square / (1 - 0.999**self._count)
        self.value -= RATE * mean / (np.sqrt(square) + 1e-8)


class _Head:
    """A task head with weight normalisation."""

    def __init__(self, z: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
        self._z = z
        means = targets.T @ z / np.maximum(targets.sum(axis=0), 1)[:, None]
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        self._direction = _Adam(means / np.maximum(lengths, 1e-12))
        self._length = _Adam(lengths)
        self._offset = _Adam(-(means**2).sum(axis=1) / 2)
        self._task = targets

    def forward(self) -> NDArray[np.float64]:
        weights = self._length.value * _unit_rows(self._direction.value)
        self._task = _softmax(self._z @ weights.T + self._offset.value)
        return self._task

    def backward(self, by_task: NDArray[np.float64]) -> None:
        by_logit = self._task * (by_task - (by_task * self._task).sum(axis=1, keepdims=True))
        by_weight = by_logit.T @ self._z
        direction = _unit_rows(self._direction.value)
        along = (by_weight * direction).sum(axis=1, keepdims=True)
        norms = np.linalg.norm(self._direction.value, axis=1, keepdims=True)
        self._direction.step(self._length.value / norms * (by_weight - along * direction))
        self._length.step(along)
        self._offset.step(by_logit.sum(axis=0))


def _standardised(rows: Embeddings) -> NDArray[np.float64]:
    few = unit(np.sqrt(np.maximum(rows, 0))).astype(np.float64)
    few = few - few.mean(axis=0)
    _, _, axes = np.linalg.svd(few, full_matrices=False)
    few = few @ axes[:256].T
    return few / (np.linalg.norm(few, axis=1).mean() / 4)


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _with_one(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([z, np.ones((len(z), 1))], axis=1)


def _linear(weights: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    return z @ weights[:, :-1].T + weights[:, -1]


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(_log_softmax(logits))
