"""A network that is a few lines of arithmetic, and images that are a few lines of colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgcluster.records import FeatureSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcluster.records import Embeddings, Pixels


@dataclass
class FakeNetwork:
    """Mean colour of the four quadrants; counts its batches."""

    batch_size: int = 4
    dimension: int = 12
    provenance: Mapping[str, str] = field(default_factory=lambda: {"runtime": "arithmetic"})
    batches: list[int] = field(default_factory=list)

    def embed(self, pixels: Pixels) -> Embeddings:
        self.batches.append(len(pixels))
        half = pixels.shape[1] // 2
        quadrants = [pixels[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
        return np.concatenate([q.mean(axis=(1, 2)) for q in quadrants], axis=1).astype(np.float32) + 1


@dataclass
class FakeSource:
    """A fake network that is chosen; counts how often it is loaded."""

    network: FakeNetwork = field(default_factory=FakeNetwork)
    space: FeatureSpace = field(default_factory=lambda: FeatureSpace("fake", "00" * 32, 16))
    loads: int = 0

    def load(self) -> FakeNetwork:
        self.loads += 1
        return self.network


def write_image(path: Path, colour: tuple[int, int, int], *, noise: int = 0, side: int = 24) -> Path:
    """A picture of one RGB colour, told apart from others of that colour by its noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(noise)
    picture = np.clip(np.array(colour) + rng.integers(-8, 8, (side, side, 3)), 0, 255).astype(np.uint8)
    encoded = cv2.imencode(path.suffix, picture[:, :, ::-1])[1]
    path.write_bytes(encoded.tobytes())
    return path


def write_images(folder: Path, count: int, colours: Mapping[str, tuple[int, int, int]]) -> list[Path]:
    """`count` pictures per colour, in folders named after the colour."""
    return [
        write_image(folder / name / f"{name}{number}.png", colour, noise=number)
        for name, colour in colours.items()
        for number in range(count)
    ]
