"""Extract with batches of 8; print the resident megabytes at every batch."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from fakes import FakeNetwork, FakeSource

from imgcluster.workflows.extract import ExtractOptions, extract


class Watched(FakeNetwork):
    def embed(self, pixels: Any) -> Any:
        megabytes = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
        sys.stdout.write(f"{megabytes}\n")  # in one piece: two batches are under way at once
        return super().embed(pixels)


photos = sys.argv[1]
extract([photos], ExtractOptions(store=f"{photos}.h5"), source=FakeSource(Watched(batch_size=8)))
