"""Networks on OpenVINO, from a model that `conversion` has made."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import openvino

from imgcluster.machine import cores
from imgcluster.networks.batches import embed_padded, memory_explained
from imgcluster.networks.kept_models import explaining_damage
from imgcluster.networks.recipe import Recipe
from imgcluster.records import Embeddings, Pixels

_PART = 4
_PARTS_PER_STREAM = 4
_MOST_STREAMS = 16
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVinoNetwork:
    """An EmbeddingNetwork on OpenVINO; `model` is the path of the converted or quantised model.

    A batch is cut into parts, and one stream per core takes one part after the other, so that no core waits
    for another that the decoding of images keeps busy. Small parts keep the caches from overflowing.
    `embed` may be called from several threads.
    """

    def __init__(self, recipe: Recipe, model: str) -> None:
        precision = recipe.precision_with(gpu=False)
        streams = min(cores(), _MOST_STREAMS)
        self.batch_size = recipe.choice.batch_size or _PART * _PARTS_PER_STREAM * streams
        self._part = math.gcd(self.batch_size, _PART)
        self._size = recipe.space.input_size
        core = openvino.Core()
        with explaining_damage(model):
            graph = core.read_model(model)
        graph.reshape([self._part, self._size, self._size, 3])
        settings = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            # Held to cores, two processes of one stream each would share the first core.
            "ENABLE_CPU_PINNING": False,
        }
        with memory_explained(self.batch_size):
            self._compiled = core.compile_model(graph, "CPU", settings)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.dimension = int(self._compiled.output(0).shape[1])
        self.provenance = recipe.provenance("openvino", precision, "cpu", openvino=openvino.__version__)
        # The bindings set themselves up at their first arrays, and lock up where two threads come first.
        self.embed(np.zeros((1, self._size, self._size, 3), np.uint8))

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed (n, S, S, 3) uint8 RGB, 1 <= n <= batch_size, to (n, D) float32."""
        with memory_explained(self.batch_size):
            return embed_padded(self._run, pixels, self.batch_size, self._size, self._part)

    def _run(self, batch: Pixels) -> Embeddings:
        running = []
        for start in range(0, len(batch), self._part):
            request = self._request()
            request.start_async({0: batch[start : start + self._part]})
            running.append(request)
        vectors = np.empty((len(batch), self.dimension), np.float32)
        for number, request in enumerate(running):
            request.wait()
            vectors[number * self._part : (number + 1) * self._part] = request.get_output_tensor(0).data
            self._idle.put(request)
        return vectors

    def _request(self) -> Any:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._compiled.create_infer_request()
