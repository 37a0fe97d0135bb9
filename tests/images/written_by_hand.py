"""Picture files in variants that neither Pillow nor OpenCV writes, put together byte by byte."""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
from picture_files import png_chunk, saved
from PIL import Image

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced PNG: its first column and row, and the steps between columns and rows."""
_PNG_COLOURS = {"grey": (0, 1), "rgb": (2, 3), "palette": (3, 1), "grey+alpha": (4, 2), "rgba": (6, 4)}
PNG_VARIANTS = [
    *(("grey", bits) for bits in (1, 2, 4, 8, 16)),
    *(("palette", bits) for bits in (1, 2, 4, 8)),
    *((colour, bits) for colour in ("rgb", "grey+alpha", "rgba") for bits in (8, 16)),
]
"""All the kinds of pixels that the format knows."""
_TIFF_TEXT, _TIFF_LONG = 2, 4


def png(
    samples: np.ndarray,
    colour: str,
    bits: int,
    *,
    interlaced: bool = False,
    palette: bytes = b"",
    transparency: bytes = b"",
) -> bytes:
    """Write (H, W, samples per pixel) ints as PNG."""
    height, width = samples.shape[:2]
    parts = [(0, 0, 1, 1)] if not interlaced else list(_ADAM7)
    rows = b"".join(
        b"\0" + _packed(row, bits)
        for column, top, step, down in parts
        for row in samples[top::down, column::step]
        if row.size
    )
    header = struct.pack(">IIBBBBB", width, height, bits, _PNG_COLOURS[colour][0], 0, 0, interlaced)
    optional = [part for part in ((b"PLTE", palette), (b"tRNS", transparency)) if part[1]]
    chunks = [(b"IHDR", header), *optional, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in chunks)


def samples_per_pixel(colour: str) -> int:
    return _PNG_COLOURS[colour][1]


def _packed(row: np.ndarray, bits: int) -> bytes:
    flat = row.ravel()
    if bits == 16:
        return flat.astype(">u2").tobytes()
    digits = np.unpackbits(flat.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(digits.ravel()).tobytes()


def ycck_jpeg(pixels: np.ndarray) -> bytes:
    """Write RGB as Photoshop writes print files: inks inverted, three of them as brightness and colours."""
    # The decoder turns Y, Cb, Cr into C, M, Y by 255 - R and so on, and takes K as it is; 255 is no ink.
    planes = np.asarray(Image.fromarray(255 - pixels).convert("YCbCr"))
    black = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    raw = Image.fromarray(255 - np.concatenate([planes, black], axis=2), "CMYK")  # Pillow inverts
    data = saved(raw, "JPEG", quality=95)
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    return data[:transform] + b"\2" + data[transform + 1 :]


def tiff(
    samples: np.ndarray,
    *,
    photometric: int = 2,
    sample_format: int = 1,
    extra: int | None = None,
    orientation: int = 1,
    tile: int = 0,
    planar: bool = False,
    big_endian: bool = False,
    subfile_type: int = 0,
    no_data: bytes = b"",
    base: int = 8,
    following: int = 0,
    within: tuple[int, ...] = (),
) -> bytes:
    """Write (H, W, bands) uncompressed, in tiles or in one strip, interleaved or by planes.

    `photometric` is 0 where 0 is white, 1 where it is black, 2 for RGB; `sample_format` 1 without and 2
    with a sign, 3 for floats; `extra` says what a further band is: 1 alpha that the others are multiplied
    by, 2 alpha. `subfile_type` is 1 for a preview; `no_data` is the text that stands for a missing value. The
    directory is to lie at `base`, the next one at `following`, and those in it at `within`.
    """
    order = ">" if big_endian else "<"
    height, width, bands = samples.shape
    samples = samples.astype(samples.dtype.newbyteorder(order))
    planes = [samples[..., band : band + 1] for band in range(bands)] if planar else [samples]
    parts = [part.tobytes() for plane in planes for part in (_tiles(plane, tile) if tile else [plane])]
    at, size = (324, 325) if tile else (273, 279)
    shape = [(322, [tile]), (323, [tile])] if tile else [(278, [height])]
    tags = [(256, [width]), (257, [height]), (258, [8 * samples.itemsize] * bands), (259, [1])]
    tags += [(262, [photometric]), (277, [bands]), (284, [2 if planar else 1]), *shape]
    tags += [(at, [0] * len(parts)), (size, [len(part) for part in parts]), (339, [sample_format] * bands)]
    tags += [(274, [orientation]), (254, [subfile_type]), *([(330, [*within])] if within else [])]
    tags = sorted([*tags, *([] if extra is None else [(338, [extra])])])
    tags += [(42113, [*no_data.ljust(-(-len(no_data) // 4) * 4, b"\0")])] if no_data else []
    values_start = base + 2 + 12 * len(tags) + 4
    data_start = values_start + sum(len(values) if tag == 42113 else 4 * len(values) for tag, values in tags)
    offsets = np.cumsum([data_start, *map(len, parts)])[:-1].tolist()
    entries, values_data = b"", b""
    for tag, values in tags:
        found = offsets if tag == at else values
        packed = bytes(found) if tag == 42113 else struct.pack(f"{order}{len(found)}I", *found)
        where = packed if len(found) == 1 else struct.pack(f"{order}I", values_start + len(values_data))
        values_data += packed
        kind = _TIFF_TEXT if tag == 42113 else _TIFF_LONG
        entries += struct.pack(f"{order}HHI", tag, kind, len(found)) + where
    head = (b"MM" if big_endian else b"II") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return head + entries + struct.pack(f"{order}I", following) + values_data + b"".join(parts)


def tiff_of(*pages: tuple[np.ndarray, dict[str, object]], within: tuple[int, ...] = ()) -> bytes:
    """Write pages, pixels and arguments of `tiff`, into one file; those numbered `within` into the first."""
    stand_ins = [{"within": within} if number == 0 else {} for number in range(len(pages))]
    lengths = [
        len(tiff(samples, **options, **more)) - 8
        for (samples, options), more in zip(pages, stand_ins, strict=True)
    ]
    bases = [8 + sum(lengths[:number]) for number in range(len(pages))]
    chain = [number for number in range(len(pages)) if number not in within]
    following = {number: bases[after] for number, after in itertools.pairwise(chain)}
    inner = {0: tuple(bases[number] for number in within)}
    written = [
        tiff(samples, **options, base=bases[n], following=following.get(n, 0), within=inner.get(n, ()))
        for n, (samples, options) in enumerate(pages)
    ]
    return written[0] + b"".join(page[8:] for page in written[1:])


def _tiles(plane: np.ndarray, side: int) -> list[np.ndarray]:
    height, width, bands = plane.shape
    filled = np.zeros((-(-height // side) * side, -(-width // side) * side, bands), plane.dtype)
    filled[:height, :width] = plane
    rows, columns = range(0, height, side), range(0, width, side)
    return [filled[top : top + side, left : left + side] for top in rows for left in columns]


def bmp(pixels: np.ndarray, *, top_down: bool = False, unused: bool = False) -> bytes:
    """Write RGB of 8 bits, from the bottom up or from the top down, at wish with an unused byte per pixel."""
    height, width = pixels.shape[:2]
    body = pixels[:: 1 if top_down else -1, :, ::-1]
    if unused:
        body = np.concatenate([body, np.zeros((height, width, 1), np.uint8)], axis=2)
    bits = 8 * body.shape[2]
    padding = bytes(-(width * bits // 8) % 4)
    data = b"".join(row.tobytes() + padding for row in body)
    height = -height if top_down else height
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(data), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54) + head + data


def bmp_run_lengths(indices: np.ndarray, palette: np.ndarray) -> bytes:
    """Write (H, W) indices into (n, 3) colours, each run of one index as its length and itself."""
    height, width = indices.shape
    runs = (_runs(row) + b"\0\0" for row in indices[::-1].tolist())
    body = b"".join(runs) + b"\0\1"
    colours = np.concatenate([palette[:, ::-1], np.zeros((len(palette), 1), np.uint8)], axis=1).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 2835, 2835, len(palette), 0)
    start = 54 + len(colours)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + colours + body


def _runs(row: list[int]) -> bytes:
    return b"".join(bytes([len(list(run)), index]) for index, run in itertools.groupby(row))


def bmp_16_bits(pixels: np.ndarray) -> bytes:
    """Write RGB with 5, 6 and 5 bits, as some cameras and screens do; the width is even."""
    height, width = pixels.shape[:2]
    red, green, blue = (pixels[::-1, :, band].astype(np.uint16) for band in range(3))
    body = (red >> 3 << 11 | green >> 2 << 5 | blue >> 3).astype("<u2").tobytes()
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(body), 2835, 2835, 0, 0)
    start = 14 + len(head) + len(masks)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + masks + body


def plain_pnm(samples: np.ndarray, maximum: int) -> bytes:
    """Write (H, W) or (H, W, 3) numbers as text, with a remark."""
    kind, (height, width) = ("P3" if samples.ndim == 3 else "P2"), samples.shape[:2]
    numbers = "\n".join(" ".join(map(str, row)) for row in samples.reshape(height, -1).tolist())
    return f"{kind}\n# by hand\n{width} {height}\n{maximum}\n{numbers}\n".encode()
