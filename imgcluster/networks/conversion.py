"""Models on disk: made once in a process of their own, then found by what went into them.

A model is a program, so it runs only where a signed index in its folder has the digests of its files.

A process of its own, because the memory that Keras and TensorFlow take to build a network goes with it. This
process does not import Keras, and TensorFlow only to run a network on it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from imgcluster.caches import PARTS, claim, temporary_folder, trim
from imgcluster.child import ChildDied, call_in_child
from imgcluster.errors import ImgclusterError
from imgcluster.files import (
    create,
    discard,
    file_digest,
    is_folder,
    new_folder,
    open_regular,
    read_limited,
    sync_file,
    write_durably,
)
from imgcluster.networks.making import OPENVINO_MODEL, make_graph, make_openvino_model, quantise
from imgcluster.networks.recipe import NO_AVX, Recipe, lacks_avx
from imgcluster.networks.tensorflow_graph import GraphSettings
from imgcluster.ownership import IN_MEMORY, Ownership, is_mine
from imgcluster.records import FeatureSpace, Notify, Pixels

_FORMAT = 3  # to be raised when a model that `making` makes changes
_INDEX = "index.json"
_MOST_BYTES = 1 << 16


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
        with create(images) as file:
            np.save(file, np.concatenate(list(calibration.images(recipe.space))))
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
    """Give the folder named after `identity`, which `make` fills unless it is there as it was made."""
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    if models is not None:
        try:
            for folder in (os.path.dirname(models), models):
                claim(folder)
            owner = Ownership(os.path.dirname(models))
            if problem := owner.prepare():
                raise OSError(None, problem)  # noqa: TRY301 - told below
            return _made_in(models, name, make, owner, notify)
        except OSError as error:
            notify(f"cannot keep a converted model in {models}, so it is for this run only: {error.strerror}")
    return _made_in(temporary_folder("models"), name, make, IN_MEMORY, notify)


def _made_in(models: str, name: str, make: Callable[[str], None], owner: Ownership, notify: Notify) -> str:
    """Have a folder filled, so that it is there whole or not at all."""
    folder = os.path.join(models, name)
    if _is_as_made(folder, name, owner):
        return folder
    if os.path.lexists(folder):
        notify(f"{folder} is not as imgcluster made it: it is made again")
    temporary = new_folder(models)
    try:
        make(temporary)
        write_durably(os.path.join(temporary, _INDEX), _index(temporary, name, owner), private=True)
        for entry in (*os.scandir(temporary), temporary):  # what has its name is complete
            sync_file(os.fspath(entry))
        if not _is_as_made(folder, name, owner):  # else another process was quicker
            discard(folder)
            os.rename(temporary, folder)
            if os.path.basename(models) in PARTS:
                trim(models)
    finally:
        discard(temporary)
    return folder


def _is_as_made(folder: str, name: str, owner: Ownership) -> bool:
    try:
        if not is_folder(folder) or not is_mine(os.lstat(folder)):
            return False
        written = read_limited(os.path.join(folder, _INDEX), _MOST_BYTES)
        return hmac.compare_digest(written, _index(folder, name, owner))
    except OSError:
        return False


def _index(folder: str, name: str, owner: Ownership) -> bytes:
    """Write down the digests of all files in a folder, signed; the files are made this user's alone."""
    digests = {}
    for file in sorted(set(os.listdir(folder)) - {_INDEX}):
        path = os.path.join(folder, file)
        with os.fdopen(open_regular(path), "rb") as opened:
            os.fchmod(opened.fileno(), 0o600)
            digests[file] = hashlib.file_digest(opened, "sha256").hexdigest()
    data = json.dumps([name, digests])
    return json.dumps({"files": digests, "signature": owner.sign(b"model " + data.encode())}).encode()


def _in_child(make: Callable[..., None], *arguments: object) -> None:
    try:
        call_in_child(make, *arguments)
    except ChildDied as death:
        raise ImgclusterError(f"the process that prepares the network died ({death}){_why(death)}") from death


def _why(death: ChildDied) -> str:
    """Say what is known of the cause, and what to do."""
    if death.signal == signal.SIGKILL:
        return ", most likely because there was too little memory: close other programs"
    if lacks_avx():
        return f": {NO_AVX}"
    if death.signal == signal.SIGILL:
        return ": this processor lacks an instruction that TensorFlow or OpenVINO uses: take a newer machine"
    return ": a fault in TensorFlow or OpenVINO: try the other with --runtime, or install them again"
