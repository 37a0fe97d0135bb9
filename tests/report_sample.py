"""A small clustering to write reports of: coloured squares on disk, with names as a test needs them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgcluster.output.marker import Marker, write_marker
from imgcluster.output.report import write_report
from imgcluster.output.report_summary import ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import missing_thumbnails, save_thumbnail
from imgcluster.records import Evaluation, NamedCluster, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELLED = Evaluation(30, 1 / 3, 20, 0.0, 0.0, 1.0, ("cat",), np.array([[10, 10, 10]]), (0,), (0, 1, 2))
HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>.jpg",
    'x" onerror="alert(1).jpg',
    '"><script>alert(1)<',
    "'-alert(1)-'.jpg",
    "javascript:alert(1)",
    "{{ 7 * 7 }}.jpg",
    "line\nbreak.jpg",
    "carriage\rreturn.jpg",
    "100% #1? & more;.jpg",
    "mirrored\u202egpj.exe",
    "größe 日本 🙂.jpg",
    os.fsdecode(b"latin-1 \xe9\xff.jpg"),
    "]]>--><!--.jpg",
    "-rf.jpg",
    "   ",
    "=1+1.jpg",
    "x" * 251 + ".jpg",
    "é" * 125 + ".jpg",
)


@dataclass
class Sample:
    """Images in `k` groups below `folder`, and where their thumbnails are kept."""

    folder: Path
    k: int = 3
    images: list[ReportImage] = field(default_factory=list)

    @property
    def out(self) -> str:
        """Where the report goes."""
        return os.fspath(self.folder / "clusters")

    @property
    def cache(self) -> str:
        """Where the thumbnails are kept."""
        return os.fspath(self.folder / "cache")

    def add(self, names: Sequence[str]) -> Sample:
        """Write one square per name, dealt out over the clusters; cluster c lies around (10 c, 0)."""
        os.makedirs(self.folder / "pictures", exist_ok=True)
        for name in names:
            i = len(self.images)
            cluster = i % self.k
            path = os.path.join(self.folder, "pictures", name)
            data = square(i)
            with open(path, "wb") as file:
                file.write(data)
            key = hashlib.sha256(data).hexdigest()
            if missing_thumbnails(self.cache, [key]):
                save_thumbnail(self.cache, key, data)
            self.images.append(
                ReportImage(
                    key,
                    path,
                    os.path.relpath(path, self.out),
                    cluster,
                    distance=0.1 + 0.01 * i,
                    silhouette=0.9 - 0.01 * i,
                    x=10.0 * cluster + i % 7 / 7,
                    y=float(i // 7),
                )
            )
        return self

    def summary(self, **changes: object) -> ReportSummary:
        """Return what the report says about `images`, with some of it said otherwise."""
        sizes = (sum(image.cluster == c for image in self.images) for c in range(self.k))
        clusters = tuple(NamedCluster(number, "", size) for number, size in enumerate(sizes))
        values: dict[str, object] = {
            "clusters": clusters,
            "silhouettes": (0.5,) * self.k,
            "projection": "PCA",
        }
        return ReportSummary(**{"projection": "PCA", **values, **changes})  # type: ignore[arg-type]

    def write(self, summary: ReportSummary | None = None, **options: int) -> str:
        """Write the report of a clustering that has nothing else, and return its page's path."""
        if not os.path.exists(self.out):
            os.makedirs(self.out)
            write_marker(self.out, Marker(1, building=False))
        return write_report(
            self.out,
            summary or self.summary(),
            self.images,
            SilentProgress(),
            thumbnail_folder=self.cache,
            **options,
        )


def square(i: int) -> bytes:
    """Return a JPEG of 160 by 120 pixels, another for each `i`."""
    pixels = np.full((120, 160, 3), (i * 37 % 256, i * 91 % 256, i // 7 % 256), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
