"""Models on disk: made once in a process of their own, then found by what went into them.

A process of its own, because the memory that Keras and TensorFlow take to build a network goes with it. This
process does not import Keras, and TensorFlow only to run a network on it.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.child import ChildDied, call_in_child
from imgcluster.errors import ImgclusterError
from imgcluster.networks.convert_process import OPENVINO_MODEL, make_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imgcluster.networks.recipe import Recipe
    from imgcluster.networks.tensorflow_graph import GraphSettings
    from imgcluster.records import FeatureSpace, JsonObject, Notify, Pixels

_FORMAT = 3  # to be raised when the graph that `model` or `quantise` builds changes


@dataclass(frozen=True)
class Calibration:
    """Images that show a quantisation what values to expect.

    `images` takes the input size S and gives (n, S, S, 3) uint8 RGB batches; `name` changes whenever they do.
    """

    name: str
    images: Callable[[int], Iterable[Pixels]]


def openvino_model(recipe: Recipe, space: FeatureSpace, models: str | None, notify: Notify) -> str:
    """Return the path of the OpenVINO model of `recipe`, converted now unless it lies in the folder `models`.

    Without `models`, or where it cannot be written (`notify` is told), the model goes with the process.
    ImgclusterError where the weights do not fit.
    """
    identity = [_FORMAT, asdict(space), _versions("keras", "tensorflow", "openvino")]
    folder = _made(identity, lambda: _description(recipe), models, notify)
    return os.path.join(folder, OPENVINO_MODEL)


def tensorflow_graph(
    recipe: Recipe, space: FeatureSpace, models: str | None, notify: Notify, settings: GraphSettings
) -> str:
    """Return the folder of the TensorFlow graph of `recipe`, otherwise like `openvino_model`."""
    graph = asdict(settings)
    identity = [_FORMAT, asdict(space), _versions("keras", "tensorflow"), graph]
    return _made(identity, lambda: {**_description(recipe), "graph": graph}, models, notify)


def int8_model(
    recipe: Recipe, space: FeatureSpace, models: str | None, notify: Notify, calibration: Calibration
) -> str:
    """Return the path of the int8 model of `recipe`, otherwise like `openvino_model`.

    `space` is that of the model before quantisation.
    """
    libraries = _versions("keras", "tensorflow", "openvino", "nncf") | {"calibration": calibration.name}
    with tempfile.TemporaryDirectory(prefix="imgcluster-") as temporary:

        def request() -> JsonObject:
            notify(f"quantising {recipe.network.name} to int8, once: this takes about a minute")
            images = os.path.join(temporary, "images.npy")
            np.save(images, np.concatenate(list(calibration.images(recipe.input_size))))
            model = openvino_model(recipe, space, models, notify)
            return {"quantise": model, "images": images, "sensitive": recipe.network.sensitive}

        folder = _made([_FORMAT, asdict(space), libraries], request, models, notify)
    return os.path.join(folder, OPENVINO_MODEL)


@contextmanager
def reading(model: str) -> Iterator[None]:
    """Around the reading of a model: ImgclusterError where it is damaged."""
    try:
        yield
    except (MemoryError, ImgclusterError):
        raise
    except Exception as error:
        raise ImgclusterError(
            f"the converted model {model} is damaged: delete it, and it is made again"
        ) from error


def model_digest(path: str) -> str:
    """Return the SHA-256 in hex of a model's weights file, beside its description at `path`."""
    with open(f"{os.path.splitext(path)[0]}.bin", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions(*libraries: str) -> dict[str, str]:
    return {name: version(name) for name in libraries}


def _description(recipe: Recipe) -> JsonObject:
    return {
        "network": recipe.network.name,
        "weights": recipe.weights,
        "input_size": recipe.input_size,
        "pooling": recipe.pooling,
    }


def _made(
    identity: list[object], request: Callable[[], JsonObject], models: str | None, notify: Notify
) -> str:
    """Give the folder named after `identity`, whose content is what carrying out the request made."""
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    if models is not None:
        try:
            return _made_in(models, name, request)
        except OSError as error:
            notify(f"cannot keep a converted model in {models}, so it is for this run only: {error.strerror}")
    return _made_in(_own_folder(), name, request)


def _made_in(models: str, name: str, request: Callable[[], JsonObject]) -> str:
    """Have the request carried out, so that the folder is there whole or not at all."""
    folder = os.path.join(models, name)
    if os.path.isdir(folder):
        return folder
    os.makedirs(models, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix="new-", dir=models)
    try:
        _run({**request(), "folder": temporary})
        for entry in (*os.scandir(temporary), temporary):
            _on_disk(entry)
        _rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


@cache
def _own_folder() -> str:
    folder = tempfile.mkdtemp(prefix="imgcluster-models-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _on_disk(path: str | os.PathLike[str]) -> None:
    """Wait until a file or folder survives a power loss: what has its name is trusted from then on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(temporary: str, folder: str) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        if not os.path.isdir(folder):  # else another process was quicker
            raise


def _run(request: JsonObject) -> None:
    try:
        call_in_child(make_model, request)
    except ChildDied as death:
        why = (
            "most likely for want of memory: close other programs"
            if death.killed
            else "most likely because this processor lacks what TensorFlow is built for, such as AVX"
        )
        raise ImgclusterError(f"the process that prepares the network died ({death}), {why}") from death
