"""Embeddings for other programs: one row of `EXPORT_FORMATS` per format."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.files import replacing
from imgcluster.held import at, make_folders
from imgcluster.output.single_file import check_target, replacing_named
from imgcluster.records import Embeddings, EmbeddingSource, Keys, Progress

_NPZ_MARK = b"keys.npy"
"""What the beginning of every archive of ours holds."""

_METADATA, _METADATA_HEADER = "metadata.tsv", b"path\tkey\n"
_PROJECTOR_FILES = (_METADATA, "tensors.tsv", "sprite.png", "projector_config.pbtxt")


@dataclass(frozen=True)
class Sprite:
    """Thumbnails in one square PNG, left to right, top to bottom, in cells of `side` pixels.

    `mode` are the permissions that all of the images have.
    """

    image: bytes
    side: int
    mode: int = 0o666


@dataclass(frozen=True)
class Exported:
    """What is exported: embeddings, a path for each key that has one, and pictures.

    `draw` draws the images of some keys in their order; it gives None where that makes no sense.
    """

    source: EmbeddingSource
    paths: Mapping[bytes, str]
    draw: Callable[[Keys], Sprite | None]


@dataclass(frozen=True)
class ExportFormat:
    """How one format is written: `check` refuses what lies at the target, `write` replaces an earlier export.

    `write` counts the embeddings, and raises OSError where it cannot write.
    """

    check: Callable[[str], None]
    write: Callable[[Exported, str, Progress], None]


def _check_archive(out: str) -> None:
    check_target(out, _NPZ_MARK)


def _write_archive(exported: Exported, out: str, progress: Progress) -> None:
    """Write ``keys`` (N, 64 hex characters) and ``embeddings`` (N, D) float32 to one NumPy archive."""
    source = exported.source
    names = np.array([key.tobytes().hex() for key in source.keys], "<U64")
    with replacing_named(out, _NPZ_MARK) as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open("keys.npy", "w", force_zip64=True) as member:
            member.write(_header(names.dtype, names.shape))
            member.write(names.tobytes())
        with archive.open("embeddings.npy", "w", force_zip64=True) as member:
            member.write(_header(np.dtype("<f4"), (len(names), source.dimension)))
            for block in _counted(source, progress):
                member.write(np.ascontiguousarray(block, "<f4").tobytes())


def _header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _counted(source: EmbeddingSource, progress: Progress) -> Iterator[Embeddings]:
    progress.begin("writing embeddings", len(source.keys))
    for block in source.blocks():
        yield block
        progress.advance(len(block))


def _check_folder(out: str) -> None:
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ImgclusterError(f"{out} is a file: name a folder")
    here = [name for name in _PROJECTOR_FILES if os.path.lexists(os.path.join(out, name))]
    if here and _METADATA not in here:  # the first that is written
        raise ImgclusterError(
            f"{os.path.join(out, here[0])} is not from an earlier export: name another folder"
        )
    if here:
        check_target(os.path.join(out, _METADATA), _METADATA_HEADER, first_line=True)


def _write_projector(exported: Exported, out: str, progress: Progress) -> None:
    """Write what the Embedding Projector of TensorBoard loads into the folder `out`.

    ``tensors.tsv`` (one row of numbers per image), ``metadata.tsv`` (with a header: path and key),
    ``projector_config.pbtxt``, and ``sprite.png`` where one is drawn, all in the same order.
    """
    out = os.path.realpath(out)
    make_folders(out)
    source = exported.source

    def put(name: str, write: Callable[[BinaryIO], object], mode: int = 0o666) -> None:
        with at(os.path.join(out, name)) as place, replacing(place, most=mode) as file:
            write(file)

    rows = (f"{_one_cell(exported.paths.get(bytes(k), ''))}\t{bytes(k).hex()}\n" for k in source.keys)
    put(_METADATA, lambda file: file.write(_METADATA_HEADER + "".join(rows).encode()))

    def write_tensors(file: BinaryIO) -> None:
        for block in _counted(source, progress):
            np.savetxt(file, block, fmt="%.7g", delimiter="\t")

    put("tensors.tsv", write_tensors)
    config = 'embeddings {\n  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n'
    sprite = exported.draw(source.keys)
    if sprite is not None:
        put("sprite.png", lambda file: file.write(sprite.image), sprite.mode)
        side = f"    single_image_dim: {sprite.side}\n"
        config += f'  sprite {{\n    image_path: "sprite.png"\n{side}{side}  }}\n'
    put("projector_config.pbtxt", lambda file: file.write(f"{config}}}\n".encode()))


def _one_cell(text: str) -> str:
    """Make a path harmless in a TSV file: no tabs, line ends or lone surrogates."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)


EXPORT_FORMATS: Mapping[str, ExportFormat] = {
    "npz": ExportFormat(_check_archive, _write_archive),
    "tensorboard": ExportFormat(_check_folder, _write_projector),
}
"""The formats of ``imgcluster store export``."""
