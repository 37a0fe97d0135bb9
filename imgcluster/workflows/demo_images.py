"""A small set of real photographs: views of the freely licensed ones that come with ordinary packages."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from imgcluster.errors import MissingExtra, explained
from imgcluster.files import write_durably
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.file_bytes import read_file
from imgcluster.images.views import views
from imgcluster.records import Pixels
from imgcluster.tabular import Tabular
from imgcluster.typed import typed_path

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


@dataclass(frozen=True)
class DemoImages(Tabular):
    """The folder that was filled, with how many images of how many photographs."""

    folder: str
    images: int
    photographs: tuple[Photograph, ...]


def make_demo_images(folder: str | os.PathLike[str], seed: int = 0) -> DemoImages:
    """Write views of the photographs as JPEGs, in folders named after the photograph.

    The same seed writes the same files. Nothing that is there already is written again.

    Raises
    ------
    ImgclusterError
        Where the folder cannot be made or written to.
    MissingExtra
        Where the packages with the photographs are not installed.
    """
    folder = typed_path(folder)
    written = 0
    with explained(f"cannot fill {folder}", "; name another folder"):
        for number, photograph in enumerate(PHOTOGRAPHS):
            target = os.path.join(folder, photograph.name)
            os.makedirs(target, exist_ok=True)
            varied = views(photograph_pixels(photograph), VIEWS_PER_PHOTOGRAPH, seed + number)
            for view, pixels in enumerate(varied):
                path = os.path.join(target, f"{photograph.name}-{view:02}.jpg")
                written += 1
                if not os.path.exists(path):
                    write_durably(path, encode_image(pixels, ".jpg"))
    return DemoImages(folder, written, PHOTOGRAPHS)
