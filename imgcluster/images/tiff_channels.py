"""TIFFs of channels that Pillow does not know: many, two, in planes; it is shown a grey picture instead."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode, UnreadableImage, quantity
from imgcluster.images.memory import bytes_of_result, bytes_to_decode
from imgcluster.images.pillow import open_image, reasons
from imgcluster.images.pixels import Box, Decoded, Request, damaged, scaled_size, to_rgb
from imgcluster.images.tiff import FLOAT, MOST_VALUES, SIGNED, UNSIGNED, Directory, Entry, Tag

_RGB, _GREY_OR_RGB = 2, frozenset({0, 1, 2})
_DIFFERENCES, _STRAIGHT_ALPHA = 2, 2
# Where bytes come out as they went in, whatever they stand for.
_OF_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
_LAID_OUT_BY = (
    *(Tag.HEIGHT, Tag.COMPRESSION, Tag.FILL_ORDER, Tag.ROWS_PER_STRIP, Tag.TILE_HEIGHT, Tag.PREDICTOR),
)
_OF_PLANES = (Tag.STRIPS, Tag.STRIP_BYTES, Tag.TILES, Tag.TILE_BYTES)
# What stands in for samples of so many bits and such a form, and Pillow's mode for it.
_STAND_INS = {
    (8, UNSIGNED): (UNSIGNED, "L"),
    (16, UNSIGNED): (UNSIGNED, "I;16"),
    (16, SIGNED): (UNSIGNED, "I;16"),
    (32, UNSIGNED): (SIGNED, "I"),
    (32, SIGNED): (SIGNED, "I"),
    (32, FLOAT): (FLOAT, "F"),
}
_KINDS = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}


def is_for_channels(directory: Directory) -> bool:
    """Whether `decode_channels` reads what Pillow would take for something else."""
    if directory.in_planes and directory.bits != 8:
        return True
    grey = (
        directory.number(Tag.PHOTOMETRIC, 0) != _RGB and directory.number(Tag.PHOTOMETRIC, 0) in _GREY_OR_RGB
    )
    return grey and directory.channels > 2 and (directory.bits, directory.form) in _STAND_INS


def decode_channels(directory: Directory, request: Request) -> Decoded:
    """Decode the first three of many channels, or the first of two, by having Pillow see one that is grey.

    Raises
    ------
    UnreadableImage
        For channels that are not read, saying how many of which kind there are.
    """
    width, height = directory.size
    channels, bits, form = directory.channels, directory.bits, directory.form
    predictor = directory.number(Tag.PREDICTOR, 1)
    readable = (
        directory.number(Tag.COMPRESSION, 1) in _OF_BYTES
        and directory.number(Tag.PHOTOMETRIC, 0) in _GREY_OR_RGB
        and (bits, form) in _STAND_INS
        and 1 < channels <= MOST_VALUES
        and (directory.in_planes or predictor == 1 or (predictor == _DIFFERENCES and form != FLOAT))
    )
    if not readable:
        raise _not_read(directory)
    request.check_size(width, height)
    straight = (
        directory.number(Tag.PHOTOMETRIC, 0) == _RGB and directory.number(Tag.EXTRA, 0) == _STRAIGHT_ALPHA
    )
    count = 1 if channels == 2 else 4 if straight and channels > 3 else 3
    wide = 1 if directory.in_planes else channels
    planes = range(count) if directory.in_planes else [0]
    _check_whole(directory)
    scale = request.scale(width, height)
    mode = _STAND_INS[bits, form][1]
    needed = bytes_to_decode("TIFF", mode, (wide * width, height), 0) + len(directory.file.data)
    kept = bytes_of_result(math.prod(scaled_size(width, height, scale)))
    with request.budget.taking(len(planes) * needed + kept), reasons("TIFF"):
        bands = [_samples(directory, plane) for plane in planes]
        pixels = to_rgb((width, height), scale, _part(bands, count), directory.no_data)
    if directory.number(Tag.PHOTOMETRIC, 1) == 0:
        np.subtract(255, pixels, out=pixels)
    return Decoded(pixels, width, height, directory.number(Tag.ORIENTATION, 1))


def _not_read(directory: Directory) -> UnreadableImage:
    if directory.is_cut:
        return damaged("the TIFF file is cut short")
    of = f" of {directory.bits} bits" if directory.bits else ""
    apart = ", one after the other" if directory.in_planes else ""
    return UnreadableImage(
        f"a TIFF of {quantity(directory.channels, 'channel')}{of}{apart}, which is not read",
        FailureCode.UNSUPPORTED,
    )


def _check_whole(directory: Directory) -> None:
    """Raise UnreadableImage where samples are missing: whatever lies behind the file's end is none."""
    places, lengths = (
        directory.all_numbers(tag, other)
        for tag, other in ((Tag.STRIPS, Tag.TILES), (Tag.STRIP_BYTES, Tag.TILE_BYTES))
    )
    samples = directory.pixels * directory.channels * directory.bits // 8
    uncompressed = directory.number(Tag.COMPRESSION, 1) == 1
    if (
        len(places) != len(lengths)
        or not len(places)
        or (places + lengths).max() > len(directory.file.data)
        or (uncompressed and lengths.sum() < samples)
    ):
        raise damaged("the TIFF file is cut short")


def _part(bands: list[NDArray[Any]], count: int) -> Callable[[Box], NDArray[Any]]:
    def part(box: Box) -> NDArray[Any]:
        left, top, right, bottom = box
        pieces = [band[top:bottom, left:right] for band in bands]
        piece = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=2)
        return piece[..., 0] if count == 1 else np.ascontiguousarray(piece[..., :count])

    return part


def _samples(directory: Directory, plane: int) -> NDArray[Any]:
    """Decode all channels, or those of one plane: (H, W, channels)."""
    width, height = directory.size
    with open_image(_stand_in(directory, plane), "TIFF") as image:
        image.load()
        decoded = np.array(image)
    if decoded.dtype.byteorder == ">":
        decoded = decoded.astype(decoded.dtype.newbyteorder("="))
    samples = decoded.view(f"{_KINDS[directory.form]}{directory.bits // 8}").reshape(height, width, -1)
    if not directory.in_planes and directory.number(Tag.PREDICTOR, 1) == _DIFFERENCES:
        across = directory.number(Tag.TILE_WIDTH, width)
        for left in range(0, width, max(across, 1)):
            tile = samples[:, left : left + across]
            np.add.accumulate(tile, axis=1, dtype=tile.dtype, out=tile)
    return samples.clip(0).view(np.uint16) if samples.dtype == np.int16 else samples


def _stand_in(directory: Directory, plane: int) -> bytes:
    """Give a TIFF whose first picture is grey: all channels side by side, or those of one plane."""
    file, entries = directory.file, directory.entries
    form = _STAND_INS[directory.bits, directory.form][0]
    wide = 1 if directory.in_planes else directory.channels
    numbers = {
        Tag.WIDTH: wide * directory.size[0],
        Tag.BITS: directory.bits,
        Tag.PHOTOMETRIC: 1,
        Tag.FORMAT: form,
    }
    if Tag.TILE_WIDTH in entries:
        numbers[Tag.TILE_WIDTH] = wide * directory.number(Tag.TILE_WIDTH, 0)
    kept = {tag: entries[tag] for tag in _LAID_OUT_BY if tag in entries}
    if not directory.in_planes:
        kept.pop(Tag.PREDICTOR, None)
    for tag in _OF_PLANES:
        if tag in entries:
            entry = entries[tag]
            count = entry.count // directory.channels if directory.in_planes else entry.count
            kept[tag] = Entry(entry.kind, count, entry.at + plane * count * entry.item_size)
    value, form_of_entry, count_form = (8, "HHQ8s", "Q") if file.big else (4, "HHI4s", "H")
    rows = []
    for tag in sorted({*numbers, *kept}):
        if tag in numbers:
            rows.append((tag, 4, 1, struct.pack(f"{file.order}I", numbers[tag])))
            continue
        entry = kept[tag]
        size = entry.item_size * entry.count
        inline = file.data[entry.at : entry.at + size]
        where = inline if size <= value else struct.pack(file.order + file.pointer, entry.at)
        rows.append((tag, entry.kind, entry.count, where))
    packed = b"".join(struct.pack(file.order + form_of_entry, *row) for row in rows)
    count_of_rows = struct.pack(file.order + count_form, len(rows))
    at = len(file.data) + len(file.data) % 2
    return file.beginning_at(at, b"".join([bytes(at - len(file.data)), count_of_rows, packed, bytes(8)]))
