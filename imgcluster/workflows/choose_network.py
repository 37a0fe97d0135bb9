"""From options to a network source: what the networks need to know of images is handed to them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from imgcluster.images import PREPROCESSING_VERSION
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Calibration
from imgcluster.networks.selection import choose
from imgcluster.networks.weights import NOWHERE, NetworkPlaces
from imgcluster.records import FeatureSpace, NetworkSource, Notify, Pixels

Choose = Callable[[NetworkChoice, Notify], NetworkSource]
"""Makes a network source of a choice; told what takes notes."""

_CALIBRATION_VIEWS = 40
_CALIBRATION_CROP = 0.15
"""So many views of each photograph that comes in packages, so of nothing of the user's; small crops show more
kinds of things than a few photographs hold. Chosen by the cosine to float32: docs/networks.md."""


def choose_network(choice: NetworkChoice, notify: Notify, places: NetworkPlaces = NOWHERE) -> NetworkSource:
    """Settle weights, runtime and precision; imports no heavy library but for a first int8 network.

    `places` says where weights are looked for and converted models kept.

    Raises
    ------
    ImgclusterError
        The weights or the library that was asked for are missing.
    """
    return choose(
        choice,
        notify,
        places=places,
        preprocessing=PREPROCESSING_VERSION,
        calibration=Calibration(f"photographs-{_CALIBRATION_VIEWS}-views-2", _calibration_images),
    )


def network_input(pixels: Pixels, space: FeatureSpace) -> Pixels:
    """Make of an image (H, W, 3) the (S, S, 3) that a feature space is made of."""
    from imgcluster.images.resize import to_square

    return to_square(pixels, space.input_size, crop=space.crop, interpolation=space.interpolation)


def _calibration_images(space: FeatureSpace) -> Iterator[Pixels]:
    from imgcluster.images.views import views
    from imgcluster.workflows.demo_images import PHOTOGRAPHS, photograph_pixels

    for number, photograph in enumerate(PHOTOGRAPHS):
        varied = views(photograph_pixels(photograph), _CALIBRATION_VIEWS, number, _CALIBRATION_CROP)
        yield np.stack([network_input(view, space) for view in varied])
