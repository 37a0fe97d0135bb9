"""Folders of this user and machine; nothing below looks for them."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from imgcluster.networks.weights import NetworkPlaces
    from imgcluster.workflows.choose_network import Choose


def thumbnail_folder() -> str:
    """Return where thumbnails are kept from one report to the next."""
    return os.path.join(_cache(), "thumbnails")


def network_places() -> NetworkPlaces:
    """Return where weights and converted models are kept, and which weights are usual here.

    Those of Keras are shared with Keras.
    """
    from imgcluster.networks.weights import NetworkPlaces

    keras_home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    weights = os.environ.get("IMGCLUSTER_WEIGHTS")
    return NetworkPlaces(keras_home, _cache(), weights=weights and os.path.expanduser(weights))


def network_chooser() -> Choose:
    """Return what makes a network of the options, with the weights and models of this user."""
    from imgcluster.workflows.choose_network import choose_network

    return partial(choose_network, places=network_places())


def _cache() -> str:
    return platformdirs.user_cache_dir("imgcluster")
