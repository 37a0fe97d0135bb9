"""Find weights: in the cache of Keras, on the server, inside a package, or in a file of the user's."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from functools import partial
from typing import Literal

from imgcluster.errors import ImgclusterError, MissingExtra, UsageError, explained
from imgcluster.files import file_digest, open_named
from imgcluster.networks.catalog import (
    DEFAULT_NETWORK,
    OFFLINE_NETWORK,
    GivenWeights,
    Network,
    PackagedWeights,
    PublishedWeights,
    networks,
)
from imgcluster.records import Notify

RANDOM_SEED = 0
_OWN = "own"


@dataclass(frozen=True)
class NetworkPlaces:
    """Folders for what networks need, and how long to try a server; nothing here looks for them itself.

    Attributes
    ----------
    keras_home
        The folder that Keras uses; published weights are looked for there, and kept there once fetched.
    cache
        The folder for converted and quantised models.
    seconds
        How long a server may take for each step: to be reached, to answer, to send the next piece.
    weights
        What stands in for a choice of weights: a word, a file, or a folder of files.
    """

    keras_home: str | None = None
    cache: str | None = None
    seconds: float = 15.0
    weights: str | None = None

    def usual_weights(self, network: Network) -> str:
        """Return what is chosen as weights of a network where nobody says.

        A word holds for every network; a folder for those whose files are in it, under the names by which
        they are published; a file for the network that it is published for, else for the default one.
        """
        given = self.weights or "imagenet"
        if given in {"imagenet", "random"}:
            return given
        if os.path.isdir(given):
            return weights_in(given, network)
        others = {name for other in networks() if (name := published_name(other))}
        name = os.path.basename(given)
        fits = name == published_name(network) or (name not in others and network.name == DEFAULT_NETWORK)
        return given if fits else "imagenet"

    def published_file(self, published: PublishedWeights) -> str:
        """Return the path at which Keras keeps a file of weights. ImgclusterError without a folder."""
        if self.keras_home is None:
            raise ImgclusterError(
                f"no folder is known to keep {published.file_name} in: name its file with --weights"
            )
        return os.path.join(os.path.abspath(self.keras_home), "models", published.file_name)

    @property
    def models(self) -> str | None:
        """The folder of converted models, if there is one."""
        return None if self.cache is None else os.path.join(os.path.abspath(self.cache), "models")


NOWHERE = NetworkPlaces()


@dataclass(frozen=True)
class Weights:
    """Weights that were found; `path` is None for random ones and those that a network brings along.

    `digest` is the SHA-256 in hex of the file's bytes, or of a description of the random numbers.
    `origin` is what has to be chosen to find them again: ``imagenet``, ``random``, ``own`` or a path.
    """

    path: str | None
    digest: str
    origin: str


def locate(
    network: Network,
    choice: str | None = None,
    *,
    places: NetworkPlaces = NOWHERE,
    notify: Notify = lambda _: None,
) -> Weights:
    """Find weights for `network`, downloading them where that is what it takes.

    Parameters
    ----------
    choice
        ``imagenet``, ``random``, or the path of a file; None: what `places` says is usual.
    notify
        Is told of a download, of random weights, and of a cached file that was left alone.

    Raises
    ------
    ImgclusterError
        There are none, with what to do about it; MissingExtra where a package would bring them.
    """
    if isinstance(network.weights, GivenWeights):
        if choice not in {None, "imagenet", _OWN}:
            raise UsageError(f"{network.name} has weights of its own: leave out --weights {choice}")
        return Weights(None, network.weights.sha256, _OWN)
    choice = choice or places.usual_weights(network)
    if choice == "random":
        notify(
            f"the weights of {network.name} are random: good for trying things out, not for finding groups"
        )
        description = f"{network.name}: random, seed {RANDOM_SEED}, version 1"
        return Weights(None, hashlib.sha256(description.encode()).hexdigest(), choice)
    if choice != "imagenet":
        path = _users_file(choice, network)
        return _found(path, path)
    published = network.weights
    if published is None:
        raise ImgclusterError(f"no weights of {network.name} are published: name a file with --weights")
    if isinstance(published, PublishedWeights):
        return _published(network, published, places, notify)
    packaged = _packaged_file(published)
    if packaged is None:
        raise MissingExtra(f"network {network.name}", published.extra)
    return _found(packaged, choice)


def availability(network: Network, places: NetworkPlaces) -> Literal["here", "package", "download", "file"]:
    """Say whether the published weights are here, come with a package or are fetched, if any."""
    if network.weights is None:
        return "file"
    if isinstance(network.weights, GivenWeights):
        return "here"
    if isinstance(network.weights, PackagedWeights):
        return "package" if _packaged_file(network.weights) is None else "here"
    return "here" if os.path.isfile(places.published_file(network.weights)) else "download"


def published_name(network: Network) -> str:
    """Return the name of the file of weights that is published for a network, or nothing."""
    return network.weights.file_name if isinstance(network.weights, PublishedWeights) else ""


def weights_in(folder: str, network: Network) -> str:
    """Return the file in `folder` that is published for a network, else ``imagenet``."""
    path = os.path.join(os.path.abspath(folder), published_name(network))
    return path if os.path.isfile(path) else "imagenet"


def _users_file(choice: str, network: Network) -> str:
    path = os.path.abspath(choice)
    if not os.path.isfile(path):
        raise ImgclusterError(
            f"no weights file {path}; --weights takes imagenet, random or a Keras weights file"
        )
    which = "only files that hold nothing but arrays are, .h5 or .weights.h5 (from Keras: model.save_weights)"
    allowed = (".h5", ".pth") if isinstance(network.weights, PackagedWeights) else (".h5",)
    if network.framework == "onnx":
        which, allowed = f"{network.name} takes an .onnx file", (".onnx",)
    if not path.endswith(allowed):
        raise ImgclusterError(f"{path} is not read: {which}")
    return path


def _packaged_file(packaged: PackagedWeights) -> str | None:
    spec = importlib.util.find_spec(packaged.package)  # finds a top-level package without importing it
    folders = () if spec is None else spec.submodule_search_locations or ()
    paths = (os.path.join(os.path.abspath(folder), *packaged.file.split("/")) for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)


def _published(
    network: Network, published: PublishedWeights, places: NetworkPlaces, notify: Notify
) -> Weights:
    path = places.published_file(published)
    hint = ""
    if os.path.isfile(path):
        if _md5(path) == published.md5:
            return _found(path, "imagenet")
        hint = f" (there is one, but its MD5 differs; to use it all the same: --weights {path})"
    from imgcluster.networks.download import DownloadError, download

    notify(f"fetching the weights of {network.name} from {published.url}")
    try:
        download(published.url, path, published.md5, places.seconds, notify)
    except DownloadError as reason:
        raise ImgclusterError(
            f"the weights of {network.name} are missing and could not be fetched ({reason}): "
            f"get {published.file_name} from {published.url} and put it at {path}{hint}, "
            f"or pass it with --weights FILE; --network {OFFLINE_NETWORK} works offline"
        ) from reason
    return _found(path, "imagenet")


def _found(path: str, origin: str) -> Weights:
    with explained(f"cannot read the weights {path}"):
        return Weights(path, file_digest(path), origin)


def _md5(path: str) -> str:
    with explained(f"cannot read the weights {path}"), os.fdopen(open_named(path), "rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
