"""Networks on OpenVINO, from a model that `conversion` has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openvino

from imgcluster.networks.batches import embed_padded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcluster.networks.recipe import Recipe
    from imgcluster.records import Embeddings, Pixels

_BATCH = 16
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVinoNetwork:
    """An EmbeddingNetwork on OpenVINO; `model` is the path of the converted or quantised model.

    One stream over all cores: two streams halve the speed on processors whose caches cannot hold the weights
    twice.
    """

    def __init__(self, recipe: Recipe, model: str) -> None:
        precision = recipe.precision_with(gpu=False)
        self._batch_size = recipe.batch_size or _BATCH
        self._size = recipe.input_size
        core = openvino.Core()
        graph = core.read_model(model)
        graph.reshape([self._batch_size, self._size, self._size, 3])
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
        compiled = core.compile_model(graph, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._dimension = int(compiled.output(0).shape[1])
        self._provenance = {
            "runtime": "openvino",
            "precision": precision,
            "device": "cpu",
            "openvino": openvino.__version__,
        }

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._dimension

    @property
    def batch_size(self) -> int:
        """How many images one call takes at most."""
        return self._batch_size

    @property
    def provenance(self) -> Mapping[str, str]:
        """Precision, device and versions."""
        return self._provenance

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed (n, S, S, 3) uint8 RGB, 1 <= n <= batch_size, to (n, D) float32."""
        return embed_padded(self._run, pixels, self._batch_size, self._size)

    def _run(self, batch: Pixels) -> Embeddings:
        result: Embeddings = self._request.infer({0: batch})[0].copy()
        return result
