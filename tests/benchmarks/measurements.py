"""One measurement per process: `python -m tests.benchmarks.measurements NAME '{"argument": …}'` prints JSON.

A process of its own, so that no measurement warms up the next, and the peak of its memory is its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imgcluster.cli.places import choose_network
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.file_bytes import read_file
from imgcluster.images.find import find_images
from imgcluster.images.resize import to_square
from imgcluster.networks.choice import NetworkChoice
from imgcluster.records import SilentProgress
from imgcluster.workflows import read_image
from imgcluster.workflows.extract import ExtractOptions, extract

Figures = dict[str, float]


def network(folder: str, count: int, **options: str) -> Figures:
    """The network alone, on pixels that are ready; batches are handed over as the pipeline does."""
    source = choose_network(NetworkChoice(**options), lambda _: None)
    size = source.space.input_size
    started = time.perf_counter()
    loaded = source.load()
    loading = time.perf_counter() - started
    images = np.stack(
        [to_square(decode(read_file(path)).pixels, size) for path in _paths(folder, loaded.batch_size)]
    )
    batch = images[np.arange(loaded.batch_size) % len(images)]
    batches = max(3, -(-count // len(batch)))
    loaded.embed(batch)
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: loaded.embed(batch), range(batches)))
    return _speed(batches * len(batch), wall, cpu) | {"loading_s": loading}


def first_start(folder: str, **options: str) -> Figures:
    """Load a network whose model is not on disk yet."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        source = choose_network(NetworkChoice(**options), lambda _: None)
        started = time.perf_counter()
        source.load()
        return {"loading_s": time.perf_counter() - started}


def reading(folder: str, count: int, size: int) -> Figures:
    """Read, hash, decode and resize on one core."""
    settings = read_image.ReadSettings(size, DecodeLimits(), 60.0)
    files = find_images([folder], progress=SilentProgress()).files[:count]
    read_image.read_image(files[0], (), settings)
    wall, cpu = time.perf_counter(), time.process_time()
    for file in files:
        read_image.read_image(file, (), settings)
    return _speed(len(files), wall, cpu)


def whole(folder: str, count: int, *, full_decoding: bool = False, **options: str) -> Figures:
    """The whole of `extract` into an empty store; the speed counts from the first batch to the last."""
    if full_decoding:
        read_image.decode = _fully  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as store:
        clock = _Clock()
        settings = ExtractOptions(store=os.path.join(store, "features.h5"), **options)  # type: ignore[arg-type]
        result = extract(_paths(folder, count), settings, choose=choose_network, progress=clock)
    return clock.speed() | {"images": result.new, "seconds": result.seconds}


def decoding(folder: str, count: int, size: int) -> Figures:
    """Decode and resize on one core, in full and at a reduced scale, in turn."""
    files = [read_file(path) for path in _paths(folder, count)]
    seconds = {"full": 0.0, "reduced": 0.0}
    for data in [files[0], *files]:
        for name, at_least in (("full", None), ("reduced", size)):
            started = time.process_time()
            to_square(decode(data, at_least=at_least).pixels, size)
            seconds[name] += time.process_time() - started
    return {name: 1000 * total / (len(files) + 1) for name, total in seconds.items()}


def published(folder: str, count: int, weights: str) -> Figures:
    """One 224-pixel image per `predict`, the last map flattened: the method that this project starts from."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    inception = keras.applications.inception_v3
    file = None if weights == "random" else weights
    model = inception.InceptionV3(include_top=False, weights=file, input_shape=(224, 224, 3))

    def embed(path: str) -> np.ndarray:
        image = keras.utils.load_img(path, target_size=(224, 224))
        pixels = inception.preprocess_input(keras.utils.img_to_array(image)[np.newaxis])
        return model.predict(pixels, verbose=0).flatten()

    paths = _paths(folder, count)
    embed(paths[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        embed(path)
    return _speed(len(paths), wall, cpu)


class _Clock(SilentProgress):
    """Remembers when the first and the last batch were in the store."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stage = ""
        self._batches: list[tuple[float, float, int]] = []

    def begin(self, what: str, total: int | None = None) -> None:
        self._stage = what

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        if self._stage == "embedding":
            self._batches.append((time.perf_counter(), time.process_time(), steps))

    def speed(self) -> Figures:
        first, last = self._batches[0], self._batches[-1]
        images = sum(steps for _, _, steps in self._batches[1:])
        figures = {"first_batch_s": first[0] - self._started}
        if images:
            figures["images_per_s"] = images / (last[0] - first[0])
            figures["core_ms"] = 1000 * (last[1] - first[1]) / images
        return figures


def _fully(data: bytes, limits: DecodeLimits, *, at_least: int | None = None) -> object:
    return decode(data, limits)


def _speed(images: int, wall: float, cpu: float) -> Figures:
    return {
        "images_per_s": images / (time.perf_counter() - wall),
        "core_ms": 1000 * (time.process_time() - cpu) / images,
    }


def _paths(folder: str, count: int) -> list[str]:
    """`count` images below `folder`, spread over its folders."""
    paths = [file.path for file in find_images([folder], progress=SilentProgress()).files]
    return [paths[index * len(paths) // count] for index in range(count)] if count < len(paths) else paths


_MEASUREMENTS: dict[str, Callable[..., Figures]] = {
    function.__name__: function for function in (network, first_start, reading, whole, decoding, published)
}


def main() -> None:
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print("\n" + json.dumps(_MEASUREMENTS[name](**arguments)))


if __name__ == "__main__":
    main()
