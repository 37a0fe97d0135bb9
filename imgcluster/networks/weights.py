"""Find weights: in the cache of Keras, on the server, inside a package, or in a file of the user's."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imgcluster.errors import ImgclusterError, MissingExtra
from imgcluster.networks.catalog import OFFLINE_NETWORK, PackagedWeights, PublishedWeights
from imgcluster.networks.download import DownloadError, download
from imgcluster.networks.places import NOWHERE

if TYPE_CHECKING:
    from imgcluster.networks.catalog import Network
    from imgcluster.networks.places import NetworkPlaces
    from imgcluster.records import Notify

RANDOM_SEED = 0


@dataclass(frozen=True)
class Weights:
    """Weights that were found; `path` is None for random ones.

    `digest` is the SHA-256 in hex of the file's bytes, or of a description of the random numbers.
    `origin` is what has to be chosen to find them again: ``imagenet``, ``random`` or an absolute path.
    """

    path: str | None
    digest: str
    origin: str


def locate(
    network: Network,
    choice: str = "imagenet",
    *,
    places: NetworkPlaces = NOWHERE,
    notify: Notify = lambda _: None,
) -> Weights:
    """Find weights for `network`, downloading them where that is what it takes.

    Parameters
    ----------
    choice
        ``imagenet``, ``random``, or the path of a file.
    notify
        Is told of a download, of random weights, and of a cached file that was left alone.

    Raises
    ------
    ImgclusterError
        There are none, with what to do about it; MissingExtra where a package would bring them.
    """
    if choice == "random":
        notify(
            f"the weights of {network.name} are random: good for trying things out, not for finding groups"
        )
        description = f"{network.name}: random, seed {RANDOM_SEED}, version 1"
        return Weights(None, hashlib.sha256(description.encode()).hexdigest(), choice)
    if choice != "imagenet":
        path = _users_file(choice, network)
        return Weights(path, _digest(path, "sha256"), path)
    if isinstance(network.weights, PackagedWeights):
        packaged = _packaged_file(network.weights)
        if packaged is None:
            raise MissingExtra(f"network {network.name}", network.weights.extra)
        return Weights(packaged, _digest(packaged, "sha256"), choice)
    path = _published_file(network, network.weights, places, notify)
    return Weights(path, _digest(path, "sha256"), choice)


def availability(network: Network, places: NetworkPlaces) -> Literal["here", "package", "download"]:
    """Say whether the published weights are on this machine, come with a package, or are fetched."""
    if isinstance(network.weights, PackagedWeights):
        return "package" if _packaged_file(network.weights) is None else "here"
    return "here" if os.path.isfile(places.published_file(network.weights)) else "download"


def _users_file(choice: str, network: Network) -> str:
    path = os.path.abspath(choice)
    if not os.path.isfile(path):
        raise ImgclusterError(
            f"no weights file {path}; --weights takes imagenet, random or a Keras weights file"
        )
    if path.endswith(".pth") and isinstance(network.weights, PackagedWeights):
        return path
    if not path.endswith(".h5"):
        raise ImgclusterError(
            f"{path} is not read: only files that hold nothing but arrays are, .h5 or .weights.h5 "
            "(from Keras: model.save_weights)"
        )
    return path


def _packaged_file(packaged: PackagedWeights) -> str | None:
    spec = importlib.util.find_spec(packaged.package)  # finds a top-level package without importing it
    folders = () if spec is None else spec.submodule_search_locations or ()
    paths = (os.path.join(os.path.abspath(folder), *packaged.file.split("/")) for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)


def _published_file(
    network: Network, published: PublishedWeights, places: NetworkPlaces, notify: Notify
) -> str:
    path = places.published_file(published)
    hint = ""
    if os.path.isfile(path):
        if _digest(path, "md5") == published.md5:
            return path
        hint = f" (there is one, but its MD5 differs; to use it all the same: --weights {path})"
    notify(f"fetching the weights of {network.name} from {published.url}")
    try:
        download(published.url, path, published.md5, places.seconds, notify)
    except DownloadError as reason:
        raise ImgclusterError(
            f"the weights of {network.name} are missing and could not be fetched ({reason}): "
            f"get {published.file_name} from {published.url} and put it at {path}{hint}, "
            f"or pass it with --weights FILE; --network {OFFLINE_NETWORK} works offline"
        ) from reason
    return path


def _digest(path: str, algorithm: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise ImgclusterError(f"cannot read the weights {path}: {error.strerror}") from error
