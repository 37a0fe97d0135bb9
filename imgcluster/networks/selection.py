"""From options to a network source, without importing a heavy library."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError, MissingExtra, UsageError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.conversion import int8_model, model_digest, openvino_model, tensorflow_graph
from imgcluster.networks.places import NOWHERE, NetworkPlaces
from imgcluster.networks.processor import has_native_bfloat16, has_nvidia_gpu
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.weights import locate
from imgcluster.records import FeatureSpace

if TYPE_CHECKING:
    from imgcluster.networks.conversion import Calibration
    from imgcluster.records import EmbeddingNetwork, Notify

POOLINGS = ("avg", "max", "flatten")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
RUNTIMES = ("auto", "tensorflow", "openvino")
_INPUT_SIZES = range(32, 4097)
_BATCH_SIZES = range(1, 4097)


@dataclass(frozen=True)
class NetworkChoice:
    """The options that decide about a network. UsageError for a value that can never work."""

    network: str = "inception_v3"
    weights: str = "imagenet"
    pooling: str = "avg"
    input_size: int | None = None
    precision: str = "auto"
    runtime: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        find_network(self.network)
        _require_one_of("--pooling", self.pooling, POOLINGS)
        _require_one_of("--precision", self.precision, PRECISIONS)
        _require_one_of("--runtime", self.runtime, RUNTIMES)
        _require_within("--input-size", self.input_size, _INPUT_SIZES)
        _require_within("--batch-size", self.batch_size, _BATCH_SIZES)
        if self.precision == "int8" and self.runtime == "tensorflow":
            raise UsageError("--precision int8 runs on OpenVINO: leave out --runtime tensorflow")
        if self.precision == "float16" and self.runtime == "openvino":
            raise UsageError("--precision float16 is for GPUs, on TensorFlow: leave out --runtime openvino")


def _require_one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value} is unknown: it is one of {', '.join(allowed)}")


def _require_within(option: str, value: int | None, allowed: range) -> None:
    if value is not None and value not in allowed:
        raise UsageError(
            f"{option} {value} cannot be: it lies between {allowed.start} and {allowed.stop - 1}"
        )


@dataclass(frozen=True)
class ChosenNetwork:
    """A NetworkSource; `models` is the folder of converted models, `int8` the path of a quantised one."""

    space: FeatureSpace
    recipe: Recipe
    runtime: str
    models: str | None
    notify: Notify
    int8: str | None = None

    def load(self) -> EmbeddingNetwork:
        """Import the runtime, make the model unless it was made before, and run it once."""
        if self.runtime == "openvino":
            from imgcluster.networks.openvino_runtime import OpenVinoNetwork

            model = self.int8 or openvino_model(self.recipe, self.space, self.models, self.notify)
            return OpenVinoNetwork(self.recipe, model)
        from imgcluster.networks.tensorflow_runtime import TensorFlowNetwork

        return TensorFlowNetwork(
            self.recipe, partial(tensorflow_graph, self.recipe, self.space, self.models, self.notify)
        )


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
    places
        Where weights are looked for and converted models kept.
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
    runtime = _runtime(choice)
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
    )
    recipe = Recipe(
        network,
        weights.path,
        space.input_size,
        choice.pooling,
        choice.precision,
        choice.batch_size,
        weights.origin,
    )
    chosen = ChosenNetwork(space, recipe, runtime, places.models, notify)
    if choice.precision != "int8":
        return chosen
    if calibration is None:
        raise ImgclusterError("--precision int8 needs images to calibrate on")
    model = int8_model(recipe, space, places.models, notify, calibration)
    return replace(chosen, space=replace(space, quantisation=model_digest(model)), int8=model)


def _runtime(choice: NetworkChoice) -> str:
    if choice.precision == "int8":
        if any(importlib.util.find_spec(library) is None for library in ("openvino", "nncf", "skimage")):
            raise MissingExtra("--precision int8", "int8")
        return "openvino"
    if choice.runtime == "tensorflow" or choice.precision == "float16":
        return "tensorflow"
    installed = importlib.util.find_spec("openvino") is not None
    if choice.runtime == "openvino" and not installed:
        raise MissingExtra("--runtime openvino", "openvino")
    return (
        "openvino" if installed and (choice.runtime == "openvino" or not has_nvidia_gpu()) else "tensorflow"
    )
