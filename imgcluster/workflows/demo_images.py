"""A small set of real photographs: views of the freely licensed ones that come with ordinary packages."""

from __future__ import annotations

import os
from dataclasses import dataclass

from imgcluster.errors import ImgclusterError
from imgcluster.files import write_durably
from imgcluster.images.encode import encode_image
from imgcluster.images.views import views
from imgcluster.workflows.photographs import PHOTOGRAPHS, Photograph, photograph_pixels

VIEWS_PER_PHOTOGRAPH = 12


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
    ImgclusterError
        Where the folder cannot be made or written to.
    MissingExtra
        Where the packages with the photographs are not installed.
    """
    folder = os.fspath(folder)
    written = 0
    try:
        for number, photograph in enumerate(PHOTOGRAPHS):
            target = os.path.join(folder, photograph.name)
            os.makedirs(target, exist_ok=True)
            varied = views(photograph_pixels(photograph), VIEWS_PER_PHOTOGRAPH, seed + number)
            for view, pixels in enumerate(varied):
                path = os.path.join(target, f"{photograph.name}-{view:02}.jpg")
                written += 1
                if not os.path.exists(path):
                    write_durably(path, encode_image(pixels, ".jpg"))
    except OSError as error:
        raise ImgclusterError(f"cannot fill {folder}: {error.strerror}; name another folder") from error
    return DemoImages(folder, written, PHOTOGRAPHS)
