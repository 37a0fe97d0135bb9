"""From options to a network source, without importing a heavy library."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from imgcluster.errors import ImgclusterError, MissingExtra, NetworkUnavailable, install_command
from imgcluster.networks.catalog import Network, find_network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Calibration, Recipe, has_native_bfloat16, has_nvidia_gpu
from imgcluster.networks.weights import NOWHERE, NetworkPlaces, locate
from imgcluster.records import EmbeddingNetwork, FeatureSpace, Notify

_NO_GPU = "TensorFlow finds no usable GPU ({} brings what NVIDIA's need): {} computes on the processor"


def _say_nothing(message: str) -> None:
    del message


@dataclass(frozen=True)
class ChosenNetwork:
    """A NetworkSource.

    `runtime` is ``python``, ``tensorflow``, ``openvino``, or ``auto``: TensorFlow if it can use the GPU, else
    OpenVINO. `models` is the folder of converted models, `int8` the path of a quantised one.
    """

    recipe: Recipe
    runtime: str
    models: str | None
    notify: Notify
    int8: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind who is notified: what other processes say when they load it, nobody reads."""
        return type(self), (self.recipe, self.runtime, self.models, _say_nothing, self.int8)

    @property
    def space(self) -> FeatureSpace:
        """The feature space of its embeddings."""
        return self.recipe.space

    def load(self) -> EmbeddingNetwork:
        """Import the runtime, make the model unless it is kept, run it once; else NetworkUnavailable."""
        try:
            return self._load()
        except ImgclusterError as error:
            raise NetworkUnavailable(str(error)) from error

    def _load(self) -> EmbeddingNetwork:
        if self.runtime == "python":
            from imgcluster.networks.own import OwnNetwork

            return OwnNetwork(self.recipe)
        from imgcluster.networks.conversion import openvino_model, tensorflow_graph

        if self.runtime == "openvino" or not self._on_tensorflow():
            from imgcluster.networks.openvino_runtime import OpenVinoNetwork

            model = self.int8 or openvino_model(self.recipe, self.models, self.notify)
            return OpenVinoNetwork(self.recipe, model)
        from imgcluster.networks.tensorflow_runtime import TensorFlowNetwork

        make = partial(tensorflow_graph, self.recipe, self.models, self.notify)
        return TensorFlowNetwork(self.recipe, make)

    def _on_tensorflow(self) -> bool:
        """Whether to compute on TensorFlow; only where there is a GPU, it is asked whether it finds one."""
        if not has_nvidia_gpu() or self.recipe.choice.precision == "float16":
            return True  # what cannot be computed without one is refused there
        from imgcluster.networks.tensorflow_runtime import finds_gpu

        if finds_gpu():
            return True
        self.notify(_NO_GPU.format(install_command("gpu"), "OpenVINO" if self.runtime == "auto" else "it"))
        return self.runtime != "auto"


def choose(
    choice: NetworkChoice,
    notify: Notify,
    *,
    places: NetworkPlaces = NOWHERE,
    calibration: Calibration | None = None,
    preprocessing: int = 1,
) -> ChosenNetwork:
    """Settle weights, runtime and precision; downloads the weights where that is what it takes.

    Parameters
    ----------
    notify
        Is told of downloads, of random weights and of a quantisation.
    calibration
        Images for int8. The first choice of an int8 network quantises it, because its feature space is named
        after the result.
    preprocessing
        Version of the resampling that makes the network's input, for the feature space.

    Raises
    ------
    ImgclusterError
        The weights or the library that was asked for are missing.
    """
    network = find_network(choice.network)
    runtime = _runtime(choice, network)
    if choice.precision == "float16" and not has_nvidia_gpu():
        raise ImgclusterError("--precision float16 needs a GPU, and there is none: use --precision auto")
    if choice.precision == "bfloat16" and not has_native_bfloat16():
        notify("this processor does not compute bfloat16 natively: --precision float32 is quicker here")
    weights = locate(network, choice.weights, places=places, notify=notify)
    space = FeatureSpace(
        network=network.name,
        weights=weights.digest,
        input_size=choice.input_size or network.input_size,
        pooling=choice.pooling,
        preprocessing=preprocessing,
        crop=network.crop,
        interpolation=network.interpolation,
        normalisation=network.normalisation,
    )
    chosen = ChosenNetwork(Recipe(choice, network, weights, space), runtime, places.models, notify)
    if choice.precision != "int8":
        return chosen
    if calibration is None:
        raise ImgclusterError("--precision int8 needs images to calibrate on")
    from imgcluster.networks.conversion import int8_model

    model, digest = int8_model(chosen.recipe, places.models, notify, calibration)
    quantised = replace(chosen.recipe, space=replace(space, quantisation=digest))
    return replace(chosen, recipe=quantised, int8=model)


def _runtime(choice: NetworkChoice, network: Network) -> str:
    def there(*libraries: str) -> bool:
        return all(importlib.util.find_spec(library) is not None for library in libraries)

    if network.framework == "python":
        return "python"
    if choice.precision == "int8":
        if not there("openvino", "nncf", "skimage"):
            raise MissingExtra("--precision int8", "int8")
        return "openvino"
    if choice.runtime == "tensorflow" or choice.precision == "float16":
        return "tensorflow"
    wanted = choice.runtime == "openvino" or network.framework == "onnx"
    if not there("openvino"):
        if wanted:
            what = "--runtime openvino" if choice.runtime == "openvino" else f"network {network.name}"
            raise MissingExtra(what, "openvino")
        return "tensorflow"
    return "auto" if has_nvidia_gpu() and choice.precision != "bfloat16" and not wanted else "openvino"
