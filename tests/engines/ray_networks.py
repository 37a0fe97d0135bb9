"""Stand-in networks for the workers of a Ray, which find them here by PYTHONPATH."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes import FakeNetwork

from imgcluster.errors import NetworkUnavailable
from imgcluster.records import Embeddings, FeatureSpace, Pixels

SPACE = FeatureSpace("fake", "00" * 32, 16)


@dataclass
class Source:
    """A network source whose network does as it is told where it is loaded."""

    how: str = ""
    marks: str = ""
    space: FeatureSpace = field(default_factory=lambda: SPACE)

    def load(self) -> Any:
        if self.how == "raises":
            raise NetworkUnavailable("the weights do not fit")
        if self.how == "dies":
            os._exit(7)
        return Network(Path(self.marks), self.how)


@dataclass
class Network:
    """Leaves a mark for each process that loads it, and for each batch."""

    marks: Path
    how: str
    network: FakeNetwork = field(default_factory=FakeNetwork)
    batch_size: int = 4
    dimension: int = 12
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.how:
            (self.marks / f"loaded {os.getpid()}").touch()

    def embed(self, pixels: Pixels) -> Embeddings:
        if self.how == "killed once" and self._is_first("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "one is slow" and self._is_first("slow"):
            time.sleep(150)
        if self.how:
            (self.marks / f"batch {os.getpid()} {time.monotonic_ns()}").touch()
        return self.network.embed(pixels)

    def _is_first(self, mark: str) -> bool:
        try:
            (self.marks / mark).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
