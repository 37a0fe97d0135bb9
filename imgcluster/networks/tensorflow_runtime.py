"""Networks on TensorFlow, from a graph that `conversion` has made."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.machine import cores
from imgcluster.networks.batches import embed_padded, memory_explained
from imgcluster.networks.kept_models import explaining_damage
from imgcluster.networks.recipe import NO_AVX, Recipe, lacks_avx
from imgcluster.networks.tensorflow_graph import GraphSettings, read_graph, session_config
from imgcluster.records import Embeddings, Pixels

_CPU_BATCH = {"bfloat16": 16, "float32": 8}
"""Larger ones are no faster on a CPU, and take memory."""
_GPU_BATCH = 256

# What absl logs below ERROR, and its own preamble: no environment variable keeps these back at import.
_CHATTER = re.compile(
    rb"^(?:WARNING: All log messages before absl::InitializeLog.*|[IW]\d{4} [\d:. ]+ .*)\n", re.MULTILINE
)


class TensorFlowNetwork:
    """An EmbeddingNetwork on TensorFlow; one batch at a time takes all cores.

    `make_graph` gives the folder of the graph for its settings.
    """

    def __init__(self, recipe: Recipe, make_graph: Callable[[GraphSettings], str]) -> None:
        tensorflow = _import_tensorflow()
        gpu = bool(tensorflow.config.list_physical_devices("GPU"))
        precision = recipe.precision_with(gpu=gpu)
        _refuse(precision, gpu=gpu)
        self.batch_size = recipe.choice.batch_size or (_GPU_BATCH if gpu else _CPU_BATCH[precision])
        self._size = recipe.space.input_size
        self._alone = threading.Lock()
        settings = GraphSettings(self.batch_size, precision, optimise=not gpu)
        folder = make_graph(settings)
        with explaining_damage(folder):
            graph, pixels, embeddings = read_graph(tensorflow, folder)
        config = session_config(tensorflow, settings)
        # TensorFlow itself counts the cores of the machine, not the share of a container.
        config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = cores()
        session = tensorflow.compat.v1.Session(graph=graph, config=config)
        self._embed = session.make_callable(embeddings, [pixels])
        self.dimension = int(embeddings.shape[-1])
        self.provenance = recipe.provenance(
            "tensorflow",
            precision,
            "gpu" if gpu else "cpu",
            tensorflow=tensorflow.__version__,
            keras=version("keras"),
        )
        self.embed(np.zeros((1, self._size, self._size, 3), np.uint8))  # the first run arranges the weights

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed (n, S, S, 3) uint8 RGB, 1 <= n <= batch_size, to (n, D) float32."""
        with memory_explained(self.batch_size):
            return embed_padded(self._run, pixels, self.batch_size, self._size)

    def _run(self, batch: Pixels) -> Embeddings:
        with self._alone:
            return np.asarray(self._embed(batch), np.float32)


def finds_gpu() -> bool:
    """Import TensorFlow and ask whether it can use a GPU."""
    return bool(_import_tensorflow().config.list_physical_devices("GPU"))


def _refuse(precision: str, *, gpu: bool) -> None:
    """Raise ImgclusterError for a precision that would silently be computed as float32."""
    if precision == "float16" and not gpu:
        raise ImgclusterError(
            "--precision float16 needs a GPU, and TensorFlow finds none: use --precision auto"
        )
    if precision == "bfloat16" and gpu:
        raise ImgclusterError(
            "--precision bfloat16 is for processors, and TensorFlow computes on a GPU: use --precision auto"
        )


def _import_tensorflow() -> Any:
    if lacks_avx():  # it would end this process, without a word
        raise ImgclusterError(NO_AVX)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_chatter():
        tensorflow = importlib.import_module("tensorflow")
    tensorflow.get_logger().setLevel("ERROR")
    for device in tensorflow.config.list_physical_devices("GPU"):
        try:
            tensorflow.config.experimental.set_memory_growth(device, True)  # noqa: FBT003
        except RuntimeError:  # the caller's own TensorFlow code came first and has decided
            break
    return tensorflow


@contextmanager
def without_chatter() -> Iterator[None]:
    """Let through what is written to stderr meanwhile, by any thread, except log lines below an error."""
    try:
        sys.stderr.flush()
        original = os.dup(2)
    except (AttributeError, OSError):  # stderr is closed, so nobody is bothered
        yield
        return
    reader, writer = os.pipe()
    thread = threading.Thread(target=_forward, args=(reader, original), daemon=True)
    thread.start()
    os.dup2(writer, 2)
    os.close(writer)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)  # closes the last writing end, so that the thread comes to its end
        thread.join()
        os.close(reader)
        os.close(original)


def _forward(reader: int, target: int) -> None:
    while chunk := os.read(reader, 1 << 16):
        os.write(target, _CHATTER.sub(b"", chunk))
