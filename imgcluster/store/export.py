"""Embeddings for other programs."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from imgcluster.errors import StoreError
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.opening import replacement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcluster.records import Embeddings, EmbeddingSource, Keys
    from imgcluster.store.store import FeatureStore

NPZ_MARK = b"keys.npy"
"""What the beginning of every archive of ours holds."""

METADATA, METADATA_HEADER = "metadata.tsv", b"path\tkey\n"
PROJECTOR_FILES = (METADATA, "tensors.tsv", "sprite.png", "projector_config.pbtxt")


@dataclass(frozen=True)
class Sprite:
    """Thumbnails in one square PNG, left to right, top to bottom, in cells of `side` pixels."""

    image: bytes
    side: int


class DrawSprite(Protocol):
    """Draws the images of some keys; None where that makes no sense."""

    def __call__(self, keys: Keys) -> Sprite | None:
        """Draw them in this order."""


class Exporter(Protocol):
    """Writes one feature space of a store to `out`."""

    def __call__(
        self,
        store: FeatureStore,
        space: str,
        out: str,
        draw: DrawSprite | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write, and count the embeddings that are written."""


def export_npz(
    store: FeatureStore,
    space: str,
    out: str,
    draw: DrawSprite | None = None,
    progress: Progress | None = None,
) -> None:
    """Write ``keys`` (N, 64 hex characters) and ``embeddings`` (N, D) float32 to one NumPy archive."""
    del draw  # arrays only
    keys = store.keys(space)
    source = store.source(space, keys)
    names = np.array([key.tobytes().hex() for key in source.keys], "<U64")
    with replacement(os.path.abspath(out)) as new, zipfile.ZipFile(new, "w") as archive:
        with archive.open("keys.npy", "w", force_zip64=True) as member:
            member.write(_header(names.dtype, names.shape))
            member.write(names.tobytes())
        with archive.open("embeddings.npy", "w", force_zip64=True) as member:
            member.write(_header(np.dtype("<f4"), (len(keys), source.dimension)))
            for block in _counted(source, progress):
                member.write(np.ascontiguousarray(block, "<f4").tobytes())


def _counted(source: EmbeddingSource, progress: Progress | None) -> Iterator[Embeddings]:
    progress = progress or SilentProgress()
    progress.begin("writing embeddings", len(source.keys))
    for block in source.blocks():
        yield block
        progress.advance(len(block))


def _header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def export_tensorboard(
    store: FeatureStore,
    space: str,
    out: str,
    draw: DrawSprite | None = None,
    progress: Progress | None = None,
) -> None:
    """Write what the Embedding Projector loads into the folder `out`.

    ``tensors.tsv`` (one row of numbers per image), ``metadata.tsv`` (with a header: path and key),
    ``projector_config.pbtxt``, and ``sprite.png`` where one is drawn, all in the same order.
    """
    source = store.source(space, store.keys(space))
    paths: dict[bytes, str] = {}
    for entry in store.paths():
        paths.setdefault(entry.key, entry.path)
    try:
        os.makedirs(out, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {out}: {error.strerror}") from error
    folder = os.path.abspath(out)
    with replacement(os.path.join(folder, METADATA)) as new, open(new, "w", encoding="utf-8") as file:
        file.write(METADATA_HEADER.decode())
        for key in source.keys:
            name = key.tobytes()
            file.write(f"{_one_cell(paths.get(name, ''))}\t{name.hex()}\n")
    with replacement(os.path.join(folder, "tensors.tsv")) as new, open(new, "w", encoding="ascii") as file:
        for block in _counted(source, progress):
            np.savetxt(file, block, fmt="%.7g", delimiter="\t")
    config = 'embeddings {\n  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n'
    sprite = draw(source.keys) if draw is not None else None
    if sprite is not None:
        side = sprite.side
        config += f'  sprite {{\n    image_path: "sprite.png"\n    single_image_dim: {side}\n'
        config += f"    single_image_dim: {side}\n  }}\n"
        with replacement(os.path.join(folder, "sprite.png")) as new, open(new, "wb") as image:
            image.write(sprite.image)
    with replacement(os.path.join(folder, "projector_config.pbtxt")) as new, open(new, "w") as file:
        file.write(config + "}\n")


def _one_cell(text: str) -> str:
    """Make a path harmless in a TSV file: no tabs, line ends or lone surrogates."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)


EXPORTERS: Mapping[str, Exporter] = {"npz": export_npz, "tensorboard": export_tensorboard}
"""The formats of ``imgcluster store export``."""
