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


def _calibration_images(input_size: int) -> Iterator[Pixels]:
    for number, photograph in enumerate(PHOTOGRAPHS):
        varied = views(photograph_pixels(photograph), _CALIBRATION_VIEWS, number, _CALIBRATION_CROP)
        yield np.stack([to_square(view, input_size) for view in varied])
