"""What a file is, by its first bytes; its name tells nothing."""

from __future__ import annotations

import os

from imgcluster.errors import FailureCode, UnreadableImage

_SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": (b"BM",),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "DIB": (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"),
}

_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1 mif2 avci avcs".split())

_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska)"),
    (b"version https://git-lfs", "a Git LFS pointer: the image itself was not fetched"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"qoif", "a QOI image, which is not read here"),
    *(
        (start, "a camera's raw file")
        for start in (b"FUJIFILM", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")
    ),
    *((start, "a camera's raw file") for start in (b"II\x1a\0\0\0HEAP", b"\0MRM")),
    (b"\xff\x0a", "a JPEG XL image, which is not read here"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image, which is not read here"),
)

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "DIB": (".dib", ".bmp"),
    "WebP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "HEIC": (".heic", ".heif", ".hif", ".heics", ".heifs", ".avci"),
    "JPEG 2000": (".jp2", ".j2k", ".jpx"),
    "PNM": (".pbm", ".pgm", ".ppm", ".pnm"),
}
"""The names that files of each type go by; together they are what a scan looks for."""


def image_type(data: bytes) -> str:
    """Return the type of an image, a key of `EXTENSIONS`, from its content.

    Raises
    ------
    UnreadableImage
        For anything else, saying what it is where that can be told.
    """
    known = next((name for name, starts in _SIGNATURES.items() if data.startswith(starts)), None)
    known = known or _in_container(data)
    if known:
        return known
    raise UnreadableImage(f"not an image: {_guess(data)}", FailureCode.NOT_AN_IMAGE)


def wrong_name(path: str, kind: str) -> str:
    """Return a note when a file's name promises another type than its content is, else an empty string."""
    suffix = os.path.splitext(path)[1].lower()
    if not suffix or suffix in EXTENSIONS[kind]:
        return ""
    return f"named {suffix}, but it is {kind}"


def may_have_picture_key(path: str) -> bool:
    """Whether a file is named as those are whose picture has a digest of its own."""
    return path.lower().endswith((*EXTENSIONS["JPEG"], *EXTENSIONS["PNG"]))


def _in_container(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "PNM"
    if data[4:8] == b"ftyp":
        length = min(int.from_bytes(data[:4], "big"), 256)
        brands = {bytes(data[8:12])} | {bytes(data[at : at + 4]) for at in range(16, length, 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIC"
    return None


def _guess(data: bytes) -> str:
    """Say what a file is that holds no image we know."""
    stranger = next((name for signature, name in _STRANGERS if data.startswith(signature)), None)
    if stranger:
        return stranger
    if not data:
        return "an empty file"
    head = data[:1024]
    if not any(head):
        return "nothing but zero bytes"
    if data[4:8] == b"ftyp":
        return "a camera's raw file" if data[8:12] == b"crx " else "a video (MP4 or alike)"
    return _guess_text(head)


def _guess_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if b"<svg" in start:
        return "a vector drawing (SVG)"
    is_text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return "a text file" if is_text else "unknown content"
