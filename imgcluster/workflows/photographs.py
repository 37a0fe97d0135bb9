"""The freely licensed photographs that come inside ordinary packages."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from imgcluster.errors import MissingExtra
from imgcluster.images.decode import decode
from imgcluster.images.reading import read_file
from imgcluster.records import Pixels


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package, and who is to be credited."""

    package: str
    file: str
    credit: str

    @property
    def name(self) -> str:
        """Its name, without the ending."""
        return Path(self.file).stem


PHOTOGRAPHS = (
    Photograph("skimage", "data/astronaut.png", "NASA, public domain"),
    Photograph("skimage", "data/camera.png", "Lav Varshney, CC0"),
    Photograph("skimage", "data/chelsea.png", "Stéfan van der Walt, CC0"),
    Photograph("skimage", "data/coffee.png", "Rachel Michetti, CC0"),
    Photograph("skimage", "data/hubble_deep_field.jpg", "NASA, public domain"),
    Photograph("skimage", "data/rocket.jpg", "SpaceX, public domain"),
    Photograph("sklearn", "datasets/images/china.jpg", "danielbuechele, CC BY 2.0"),
    Photograph("sklearn", "datasets/images/flower.jpg", "vultilion, CC BY 2.0"),
)


def photograph_pixels(photograph: Photograph) -> Pixels:
    """Decode a photograph of a package, (H, W, 3) uint8 RGB, without importing the package.

    Raises
    ------
    MissingExtra
        Where the package is not installed.
    """
    spec = importlib.util.find_spec(photograph.package)
    if spec is None or spec.origin is None:
        raise MissingExtra("the demo's photographs", "demo")
    return decode(read_file(os.path.join(os.path.dirname(spec.origin), photograph.file))).pixels
