"""OpenVINO models on disk: made once in a process of their own, then found by what went into them.

A process of its own, because the memory that Keras and TensorFlow take to build a network goes with it. This
process imports neither of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.networks.convert_process import MODEL_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imgcluster.networks.recipe import Recipe
    from imgcluster.records import FeatureSpace, JsonObject, Notify, Pixels

_FORMAT = 2  # to be raised when the graph that `model` or `quantise` builds changes
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from imgcluster.networks.convert_process import main; sys.exit(main(sys.argv[2]))"
)


@dataclass(frozen=True)
class Calibration:
    """Images that show a quantisation what values to expect.

    `images` takes the input size S and gives (n, S, S, 3) uint8 RGB batches; `name` changes whenever they do.
    """

    name: str
    images: Callable[[int], Iterable[Pixels]]


def converted_model(recipe: Recipe, space: FeatureSpace, models: str) -> str:
    """Return the path of the OpenVINO model of `recipe`, converted now unless it lies in the folder `models`.

    ImgclusterError where the weights do not fit or the folder cannot be written.
    """
    libraries = {name: version(name) for name in ("keras", "tensorflow", "openvino")}
    folder = _folder(models, space, libraries)
    request: JsonObject = {
        "network": recipe.network.name,
        "weights": recipe.weights,
        "input_size": recipe.input_size,
        "pooling": recipe.pooling,
    }
    return _model_in(folder, request)


def quantised_model(
    recipe: Recipe, space: FeatureSpace, models: str, calibration: Calibration, notify: Notify
) -> str:
    """Return the path of the int8 model of `recipe`, quantised now unless it lies in the folder `models`.

    `space` is that of the model before quantisation. ImgclusterError as of `converted_model`.
    """
    libraries = {name: version(name) for name in ("keras", "tensorflow", "openvino", "nncf")}
    folder = _folder(models, space, libraries | {"calibration": calibration.name})
    if os.path.exists(os.path.join(folder, MODEL_NAME)):
        return os.path.join(folder, MODEL_NAME)
    notify(f"quantising {recipe.network.name} to int8, once: this takes about a minute")
    model = converted_model(recipe, space, models)
    with tempfile.TemporaryDirectory(prefix="imgcluster-") as temporary:
        images = os.path.join(temporary, "images.npy")
        np.save(images, np.concatenate(list(calibration.images(recipe.input_size))))
        return _model_in(folder, {"quantise": model, "images": images})


def model_digest(path: str) -> str:
    """Return the SHA-256 in hex of a model's weights file, beside its description at `path`."""
    with open(f"{os.path.splitext(path)[0]}.bin", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(models: str, space: FeatureSpace, versions: dict[str, str]) -> str:
    identity = json.dumps([_FORMAT, asdict(space), versions], sort_keys=True).encode()
    return os.path.join(models, hashlib.sha256(identity).hexdigest()[:32])


def _model_in(folder: str, request: JsonObject) -> str:
    """Have `request` carried out, so that `folder` is there whole or not at all."""
    model = os.path.join(folder, MODEL_NAME)
    if os.path.exists(model):
        return model
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        temporary = tempfile.mkdtemp(prefix="new-", dir=os.path.dirname(folder))
    except OSError as error:
        raise ImgclusterError(f"cannot keep a converted model in {folder}: {error.strerror}") from error
    try:
        _run({**request, "folder": temporary})
        _rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return model


def _rename(temporary: str, folder: str) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        if not os.path.exists(os.path.join(folder, MODEL_NAME)):  # else another process was quicker
            raise


def _run(request: JsonObject) -> None:
    command = [sys.executable, "-c", _START, json.dumps(sys.path), json.dumps(request)]
    # A session of its own: Ctrl-C is for the workflow to handle.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True
    )
    if done.returncode == 0:
        return
    lines = (done.stdout or done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
    raise ImgclusterError(lines[-1] if done.stdout else f"OpenVINO cannot take this network: {lines[-1]}")
