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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from imgcluster.child import ChildDied, call_in_child
from imgcluster.errors import ImgclusterError
from imgcluster.files import file_digest, sync_file
from imgcluster.networks.making import OPENVINO_MODEL, make_graph, make_openvino_model, quantise
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.tensorflow_graph import GraphSettings
from imgcluster.records import FeatureSpace, Notify, Pixels

_FORMAT = 3  # to be raised when a model that `making` makes changes


@dataclass(frozen=True)
class Calibration:
    """Images that show a quantisation what values to expect.

    `images` takes a feature space, whose input they are to be: (n, S, S, 3) uint8 RGB batches; `name` changes
    whenever they do.
    """

    name: str
    images: Callable[[FeatureSpace], Iterable[Pixels]]


def openvino_model(recipe: Recipe, models: str | None, notify: Notify) -> str:
    """Return the path of the OpenVINO model of `recipe`, converted now unless it lies in the folder `models`.

    Without `models`, or where it cannot be written (`notify` is told), the model goes with the process.
    ImgclusterError where the weights do not fit.
    """
    libraries = ("openvino",) if recipe.network.framework == "onnx" else ("keras", "tensorflow", "openvino")
    identity = _identity(recipe, *libraries)
    folder = _made(identity, lambda folder: _in_child(make_openvino_model, recipe, folder), models, notify)
    return os.path.join(folder, OPENVINO_MODEL)


def tensorflow_graph(recipe: Recipe, models: str | None, notify: Notify, settings: GraphSettings) -> str:
    """Return the folder of the TensorFlow graph of `recipe`, otherwise like `openvino_model`."""
    identity = [*_identity(recipe, "keras", "tensorflow"), asdict(settings)]
    return _made(identity, lambda folder: _in_child(make_graph, recipe, settings, folder), models, notify)


def int8_model(recipe: Recipe, models: str | None, notify: Notify, calibration: Calibration) -> str:
    """Return the path of the int8 model of `recipe`, otherwise like `openvino_model`.

    The feature space of `recipe` is that of the model before quantisation.
    """
    *identity, libraries = _identity(recipe, "keras", "tensorflow", "openvino", "nncf")
    identity.append(libraries | {"calibration": calibration.name})

    def make(folder: str) -> None:
        notify(f"quantising {recipe.network.name} to int8, once: this takes about a minute")
        model = openvino_model(recipe, models, notify)
        images = os.path.join(folder, "images.npy")
        np.save(images, np.concatenate(list(calibration.images(recipe.space))))
        _in_child(quantise, model, images, recipe.network.sensitive, folder)
        os.unlink(images)

    return os.path.join(_made(identity, make, models, notify), OPENVINO_MODEL)


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
    return file_digest(f"{os.path.splitext(path)[0]}.bin")


def _identity(recipe: Recipe, *libraries: str) -> list[Any]:
    return [_FORMAT, recipe.space.identity, {name: version(name) for name in libraries}]


def _made(identity: list[Any], make: Callable[[str], None], models: str | None, notify: Notify) -> str:
    """Give the folder named after `identity`, which `make` fills unless it is there."""
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    if models is not None:
        try:
            return _made_in(models, name, make)
        except OSError as error:
            notify(f"cannot keep a converted model in {models}, so it is for this run only: {error.strerror}")
    return _made_in(_own_folder(), name, make)


def _made_in(models: str, name: str, make: Callable[[str], None]) -> str:
    """Have a folder filled, so that it is there whole or not at all."""
    folder = os.path.join(models, name)
    if os.path.isdir(folder):
        return folder
    os.makedirs(models, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix="new-", dir=models)
    try:
        make(temporary)
        for entry in (*os.scandir(temporary), temporary):  # what has its name is trusted from then on
            sync_file(os.fspath(entry))
        _rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


@cache
def _own_folder() -> str:
    folder = tempfile.mkdtemp(prefix="imgcluster-models-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _rename(temporary: str, folder: str) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        if not os.path.isdir(folder):  # else another process was quicker
            raise


def _in_child(make: Callable[..., None], *arguments: object) -> None:
    try:
        call_in_child(make, *arguments)
    except ChildDied as death:
        why = (
            "most likely because there was too little memory: close other programs"
            if death.killed
            else "most likely because this processor lacks what TensorFlow is built for, such as AVX"
        )
        raise ImgclusterError(f"the process that prepares the network died ({death}), {why}") from death
