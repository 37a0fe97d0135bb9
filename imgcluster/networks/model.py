"""The Keras model of a network, whatever backend Keras runs on: uint8 RGB pixels in, embeddings out.

A runtime chooses the backend before it imports this module.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import Network, PackagedWeights, PublishedWeights
from imgcluster.networks.efficientnet_lite import assign_torch_state
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.torch_file import read_torch_file
from imgcluster.networks.weights import RANDOM_SEED


def build_model(recipe: Recipe) -> Any:
    """Build a network with its preprocessing inside the graph.

    Returns
    -------
    keras.Model
        (n, S, S, 3) uint8 RGB to (n, D) float32.

    Raises
    ------
    ImgclusterError
        The weights do not fit the network, or the input size is too small for it.
    """
    network, space = recipe.network, recipe.space
    try:
        body = _build_body(network, space.input_size, space.pooling)
    except ValueError as error:
        raise ImgclusterError(f"{network.name} cannot take images of {space.input_size} pixels") from error
    if recipe.weights.path is None:
        _randomise(body)
    else:
        _load(body, network, recipe.weights.path)
    pixels = keras.Input((space.input_size, space.input_size, 3), dtype="uint8", name="pixels")
    embeddings = body(preprocess(pixels, network))
    if space.pooling == "flatten":
        embeddings = keras.layers.Flatten()(embeddings)
    return keras.Model(pixels, embeddings, name=network.name)


def preprocess(pixels: Any, network: Network) -> Any:
    """Bring RGB `pixels` (n, H, W, 3), symbolic or not, to the range and order of the network's training."""
    values = keras.ops.cast(pixels, "float32")
    if network.channels == "bgr":
        values = keras.ops.flip(values, axis=-1)
    mean, std = np.asarray(network.mean), np.asarray(network.std)
    # A single number where it is one: int8 models are known by their graph, so it has to stay as it was.
    scale = 1 / network.std[0] if len({*network.std}) == 1 else (1 / std).astype(np.float32)
    values = values * scale + (-mean / std).astype(np.float32)
    return keras.ops.transpose(values, (0, 3, 1, 2)) if network.layout == "first" else values


def _build_body(network: Network, input_size: int, pooling: str, *, include_top: bool = False) -> Any:
    shape = (input_size, input_size, 3) if network.layout == "last" else (3, input_size, input_size)
    return network.build(
        include_top=include_top,
        weights=None,
        input_shape=shape,
        pooling=None if pooling == "flatten" else pooling,
    )


def _randomise(body: Any) -> None:
    """Draw the kernels (He et al. 2015) with NumPy, so that they are the same on every backend of Keras."""
    generator = np.random.default_rng(RANDOM_SEED)
    for variable in body.weights:
        if len(variable.shape) > 1:
            fan_in = max(9, int(np.prod(variable.shape[:-1])))
            variable.assign(generator.normal(0, (2 / fan_in) ** 0.5, variable.shape).astype(np.float32))


def _load(body: Any, network: Network, path: str) -> None:
    if path.endswith(".pth") and isinstance(network.weights, PackagedWeights):
        assign_torch_state(body, read_torch_file(path, network.weights.sha256), path)
    elif not _fits(body, path) and not _fits_with_classifier(body, network, path):
        raise ImgclusterError(
            f"the weights in {path} do not fit {network.name}: it needs a Keras weights file of that network"
        )


def _fits(body: Any, path: str) -> bool:
    """Load the file into `body`; whether every one of its arrays was there.

    Keras may pass over a layer that a file lacks, so all is NaN beforehand and nothing may be NaN afterwards.
    """
    for variable in body.weights:
        variable.assign(np.full(variable.shape, np.nan, np.float32))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of the optimizer's state in some files
            body.load_weights(path)
    except Exception:  # noqa: BLE001 - whatever Keras and HDF5 stumble over in a foreign file
        return False
    return all(np.isfinite(np.asarray(array)).all() for array in body.get_weights())


def _fits_with_classifier(body: Any, network: Network, path: str) -> bool:
    """Load a file that holds the classifier too, through the whole network at its own size."""
    if not isinstance(network.weights, PublishedWeights):
        return False
    whole = _build_body(network, network.input_size, "avg", include_top=True)
    if not _fits(whole, path):
        return False
    body.set_weights(whole.get_weights()[: len(body.weights)])
    return True
