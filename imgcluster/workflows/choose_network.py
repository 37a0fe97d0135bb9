"""From options to a network source: what the networks need to know of images is handed to them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.images.resize import PREPROCESSING_VERSION, to_square
from imgcluster.images.views import views
from imgcluster.networks.conversion import Calibration
from imgcluster.networks.places import NOWHERE, NetworkPlaces
from imgcluster.networks.selection import NetworkChoice, choose
from imgcluster.workflows.photographs import PHOTOGRAPHS, photograph_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcluster.records import NetworkSource, Notify, Pixels

    Choose = Callable[[NetworkChoice, Notify], NetworkSource]
    """Makes a network source of a choice; told what takes notes."""

_CALIBRATION_VIEWS = 75
"""Of each of the two photographs in scikit-learn's wheel: 150 in all, so on nothing of the user's."""


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
        calibration=Calibration(f"sklearn-{_CALIBRATION_VIEWS}-views-1", _calibration_images),
    )


def _calibration_images(input_size: int) -> Iterator[Pixels]:
    for number, photograph in enumerate(PHOTOGRAPHS):
        if photograph.package == "sklearn":
            pixels = photograph_pixels(photograph)
            varied = views(pixels, _CALIBRATION_VIEWS, seed=number)
            yield np.stack([to_square(view, input_size) for view in varied])
