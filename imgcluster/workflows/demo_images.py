"""A small set of real photographs: views of the freely licensed ones that come with ordinary packages."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.errors import MissingExtra
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.reading import read_file
from imgcluster.images.views import views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcluster.records import Pixels

VIEWS_PER_PHOTOGRAPH = 12


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


@dataclass(frozen=True)
class DemoImages:
    """The folder that was filled, with how many images of how many photographs."""

    folder: str
    images: int
    photographs: tuple[Photograph, ...]


def make_demo_images(folder: str | os.PathLike[str], seed: int = 0) -> DemoImages:
    """Write views of the photographs as JPEGs, in folders named after the photograph.

    The same seed writes the same files. Nothing that is there already is written again.

    Raises
    ------
    MissingExtra
        Where the packages with the photographs are not installed.
    """
    written = 0
    for number, photograph in enumerate(PHOTOGRAPHS):
        target = os.path.join(os.fspath(folder), photograph.name)
        os.makedirs(target, exist_ok=True)
        for view, pixels in enumerate(_views(photograph, seed + number)):
            path = os.path.join(target, f"{photograph.name}-{view:02}.jpg")
            written += 1
            if not os.path.exists(path):
                Path(path).write_bytes(encode_image(pixels, ".jpg"))
    return DemoImages(os.fspath(folder), written, PHOTOGRAPHS)


def photograph_pixels(photograph: Photograph) -> Pixels:
    """Decode a photograph of a package, (H, W, 3) uint8 RGB, without importing the package."""
    spec = importlib.util.find_spec(photograph.package)
    if spec is None or spec.origin is None:
        raise MissingExtra("the demo's photographs", "demo")
    return decode(read_file(os.path.join(os.path.dirname(spec.origin), photograph.file))).pixels


def _views(photograph: Photograph, seed: int) -> Iterator[Pixels]:
    return views(photograph_pixels(photograph), VIEWS_PER_PHOTOGRAPH, seed)
