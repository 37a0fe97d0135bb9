"""A network of one's own, from Python: a Keras model, a torch module or a function."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.catalog import GivenWeights, Network, register
from imgcluster.networks.recipe import Recipe
from imgcluster.records import Embeddings, Pixels

_BATCH_SIZE = 32
_OF_ONE_SESSION = frozenset({"name", "keras_version", "backend", "build_config", "compile_config"})
"""What in the description of a Keras model says nothing of what it computes, or differs between sessions."""

Compute = Callable[[NDArray[np.float32]], Any]
"""Takes a batch as the network takes it, gives (n, D) vectors."""


def network(  # noqa: PLR0913
    model: Any,
    *,
    name: str,
    input_size: int,
    mean: float | tuple[float, float, float] = 0.0,
    std: float | tuple[float, float, float] = 1.0,
    version: str = "",
    channels: Literal["rgb", "bgr"] = "rgb",
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] = "area",
    crop: float = 0.0,
) -> Network:
    """Make a network of a model; `extract`, `assign` and `compare` of this process take it, or its name.

    Parameters
    ----------
    model
        A Keras model or a function of (n, S, S, 3) float32, or a torch module of (n, 3, S, S); it gives
        (n, D), a vector for each image.
    name
        Of small letters, digits, ``_`` and ``.``; a second network of one name takes the place of the first.
    input_size
        S, in pixels.
    mean, std
        Pixels from 0 to 255 become ``(x - mean) / std``; one number, or one for each channel.
    version
        Part of the feature space, as the digest of the weights is. A function must have one, to be changed
        with what it computes.
    channels, interpolation, crop
        As of `imgcluster.networks.catalog.Network`.

    Raises
    ------
    UsageError
        Where it is none of these, or a function without a version; the name is taken by a network that comes
        with imgcluster, or is not of these characters; or a number cannot be.
    """
    kind = _kind_of(model)
    _check(input_size, channels, interpolation, crop)
    if kind is _FUNCTION and not version:
        raise UsageError(
            f"network {name} is a function, and nobody can see when it computes something else: give it "
            'version="1", and another one whenever you change it'
        )
    made = Network(
        name=name,
        input_size=input_size,
        dimension=0,
        builder=partial(kind.compute, model),
        weights=GivenWeights(_digest(kind, model, version)),
        framework="python",
        mean=_each_channel("mean", mean),
        std=_each_channel("std", std, least=1e-9),
        channels=channels,
        layout=kind.layout,
        interpolation=interpolation,
        crop=crop,
    )
    register(made)
    return made


class OwnNetwork:
    """An EmbeddingNetwork of a model or function of this process; one thread at a time is in it."""

    def __init__(self, recipe: Recipe) -> None:
        self.batch_size = recipe.choice.batch_size or _BATCH_SIZE
        self.dimension = 0
        """Known from the first batch on."""
        self.provenance = recipe.provenance("python", "float32", "python")
        self._network = recipe.network
        self._compute: Compute = recipe.network.build()
        self._lock = threading.Lock()

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed (n, S, S, 3) uint8 RGB to (n, D) float32; ImgclusterError where something else comes."""
        network = self._network
        ordered = pixels if network.channels == "rgb" else pixels[..., ::-1]
        mean, std = (np.array(values, np.float32) for values in (network.mean, network.std))
        batch = (ordered.astype(np.float32) - mean) / std
        if network.layout == "first":
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        with self._lock:
            try:
                vectors = np.asarray(self._compute(batch))
            except MemoryError:
                raise
            except Exception as error:
                raise ImgclusterError(f"network {network.name}: {type(error).__name__}: {error}") from error
            self._check(vectors, batch)
        return vectors.astype(np.float32, copy=False)

    def _check(self, vectors: NDArray[Any], batch: NDArray[np.float32]) -> None:
        name, known = self._network.name, self.dimension
        width = vectors.shape[1] if vectors.ndim == 2 and len(vectors) == len(batch) else 0
        if not width or width != (known or width) or vectors.dtype.kind not in "fiu":
            raise ImgclusterError(
                f"network {name} makes {vectors.dtype} {vectors.shape} of a batch {batch.shape}: it has to "
                f"make numbers ({len(batch)}, {known or 'D'}), one vector for each image"
            )
        if not known and not np.isfinite(vectors).all():
            raise ImgclusterError(
                f"network {name} gives NaN or infinity for its first images: are mean and std right?"
            )
        self.dimension = width


@dataclass(frozen=True)
class _Kind:
    """How a kind of model is run, and what tells one from another."""

    compute: Callable[[Any], Compute]
    parts: Callable[[Any], Iterable[tuple[str, Any]]]
    layout: Literal["last", "first"] = "last"


def _parts_of_keras(model: Any) -> Iterable[tuple[str, Any]]:
    try:
        yield json.dumps(_comparable(json.loads(model.to_json()), {}), sort_keys=True), ()
    except (NotImplementedError, TypeError, ValueError):  # a model that was not made of layers
        yield type(model).__qualname__, ()
    for number, weights in enumerate(model.get_weights()):
        yield str(number), weights


def _comparable(value: Any, numbers: dict[str, str]) -> Any:
    """Give layers numbers for names, for by their names a session's second model differs from its first."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            numbers.setdefault(value["name"], f"#{len(numbers)}")
        return {key: _comparable(each, numbers) for key, each in value.items() if key not in _OF_ONE_SESSION}
    if isinstance(value, list):
        return [_comparable(each, numbers) for each in value]
    return numbers.get(value, value) if isinstance(value, str) else value


def _of_torch(module: Any) -> Compute:
    torch = sys.modules["torch"]
    module.eval()

    def compute(batch: NDArray[np.float32]) -> Any:
        pixels = torch.from_numpy(batch)
        own = next((each for each in module.parameters() if each.is_floating_point()), pixels)
        with torch.inference_mode():
            return module(pixels.to(own.device, own.dtype)).float().cpu().numpy()

    return compute


def _parts_of_torch(module: Any) -> Iterable[tuple[str, Any]]:
    yield repr(module), ()
    for name, tensor in module.state_dict().items():
        values = tensor.detach().cpu()
        yield name, (values.float() if values.is_floating_point() else values).numpy()


_FUNCTION = _Kind(lambda function: function, lambda _: ())
_KINDS = {
    ("keras", "Model"): _Kind(attrgetter("predict_on_batch"), _parts_of_keras),
    ("torch.nn", "Module"): _Kind(_of_torch, _parts_of_torch, layout="first"),
}


def _kind_of(model: Any) -> _Kind:
    """Nothing is imported: whoever has a model of a library has the library."""
    for (module, name), kind in _KINDS.items():
        if module in sys.modules and isinstance(model, getattr(sys.modules[module], name)):
            return kind
    if callable(model):
        return _FUNCTION
    raise UsageError(f"a network is a Keras model, a torch module or a function, not {type(model).__name__}")


def _digest(kind: _Kind, model: Any, version: str) -> str:
    digest = hashlib.sha256(json.dumps(["imgcluster.network", 1, version]).encode())
    for name, values in kind.parts(model):
        array = np.asarray(values)
        digest.update(f"\0{name}\0{array.dtype} {array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _check(input_size: Any, channels: str, interpolation: str, crop: float) -> None:
    if not isinstance(input_size, int) or input_size < 1:
        raise UsageError(f"input_size={input_size!r} cannot be: it is the side of a square, in pixels")
    if not 0 <= crop <= 1:
        raise UsageError(f"crop={crop!r} cannot be: it is a share of the shorter side, from 0 to 1")
    for name, value in (("channels", channels), ("interpolation", interpolation)):
        choices = get_args(get_type_hints(network)[name])
        if value not in choices:
            raise UsageError(f"{name}={value!r} is unknown: it is one of {', '.join(choices)}")


def _each_channel(name: str, value: Any, least: float = -np.inf) -> tuple[float, float, float]:
    try:
        one, two, three = np.broadcast_to(np.asarray(value, float), (3,)).tolist()
    except (TypeError, ValueError):
        one = two = three = np.nan
    if not (np.isfinite([one, two, three]).all() and min(one, two, three) >= least):
        above = " above 0" if least > 0 else ""
        raise UsageError(
            f"{name}={value!r} cannot be: give a number{above}, or one for each of three channels"
        )
    return one, two, three
