"""The Keras model of a network, whatever backend Keras runs on: uint8 RGB pixels in, embeddings out.

A runtime chooses the backend before it imports this module.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import PackagedWeights, PublishedWeights
from imgcluster.networks.efficientnet_lite import assign_torch_state
from imgcluster.networks.torch_file import read_torch_file
from imgcluster.networks.weights import RANDOM_SEED

if TYPE_CHECKING:
    from imgcluster.networks.catalog import Network, Preprocessing


def build_model(network: Network, weights: str | None, input_size: int, pooling: str) -> Any:
    """Build a network with its preprocessing inside the graph.

    Parameters
    ----------
    weights
        Path of a weights file, or None for random ones from a fixed seed.
    pooling
        ``avg``, ``max`` or ``flatten``.

    Returns
    -------
    keras.Model
        (n, input_size, input_size, 3) uint8 RGB to (n, D) float32.

    Raises
    ------
    ImgclusterError
        The file does not fit the network, or the input size is too small for it.
    """
    try:
        body = _build_body(network, input_size, pooling)
    except ValueError as error:
        raise ImgclusterError(f"{network.name} cannot take images of {input_size} pixels") from error
    if weights is None:
        _randomise(body)
    else:
        _load(body, network, weights)
    pixels = keras.Input((input_size, input_size, 3), dtype="uint8", name="pixels")
    embeddings = body(preprocess(pixels, network.preprocessing))
    if pooling == "flatten":
        embeddings = keras.layers.Flatten()(embeddings)
    return keras.Model(pixels, embeddings, name=network.name)


def preprocess(pixels: Any, how: Preprocessing) -> Any:
    """Bring RGB `pixels` (n, H, W, 3), symbolic or not, to the range and channel order of the training."""
    values = keras.ops.cast(pixels, "float32")
    if how.channels == "bgr":
        values = keras.ops.flip(values, axis=-1)
    return values * how.scale + np.asarray(how.offset, np.float32)


def _build_body(network: Network, input_size: int, pooling: str, *, include_top: bool = False) -> Any:
    module, _, function = network.builder.rpartition(".")
    return getattr(importlib.import_module(module), function)(
        include_top=include_top,
        weights=None,
        input_shape=(input_size, input_size, 3),
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
