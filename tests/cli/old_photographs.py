"""Twenty years of photographs: what cameras, phones, programs and recovered disks have left in one folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import picture_files as files
from fakes import write_image
from hostile_folder import bomb
from PIL import Image, features

RED, BLUE = (200, 30, 30), (30, 30, 200)
DATES = {"red/red0.jpg": -11_644_473_600, "red/red1.jpg": 4_294_967_296, "blue/blue0.jpg": 10**12}
"""1601, 2106 and the year 33658."""
ODD_NAMES = (b"line\nbreak.jpg", b"caf\xe9.jpg", b"-rf.jpg", b"a:b?.jpg", b"dots...jpg")
BROKEN = ("empty.jpg", "cut.jpg", "text.jpg", "bomb.png", "damaged.tif")


def make(root: Path) -> None:
    """Fill a folder."""
    for number in range(6):
        for name, colour in (("red", RED), ("blue", BLUE)):
            write_image(root / name / f"{name}{number}.jpg", colour, noise=number, side=64)
    _add_companions(root)
    _add_formats(root / "formats")
    _add_broken(root / "broken")
    for name in (*ODD_NAMES, "写真 é.jpg".encode()):
        write_image(root / "names" / os.fsdecode(name), RED, noise=len(name) + 40, side=64)
    write_image(root / "names" / "IMG_1.JPG", BLUE, noise=50, side=64)
    write_image(root / "names" / "img_1.jpg", BLUE, noise=51, side=64)
    (root / "red" / "again.jpg").write_bytes((root / "red" / "red2.jpg").read_bytes())
    (root / "dangling.jpg").symlink_to("nowhere.jpg")
    (root / "link.jpg").symlink_to("red/red3.jpg")
    for name in ("A.photoslibrary/originals/1.jpg", "private/.nomedia", "Thumbs.db", "._red.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not ours")
    for name, seconds in DATES.items():
        os.utime(root / name, ns=(seconds * 10**9,) * 2)


def _add_companions(root: Path) -> None:
    for name in ("red0.CR2", "red0.xmp", "red1.DNG", "blue1.MOV", "blue2.AAE", "blue3.jpg.json", "film.mp4"):
        folder = root / ("red" if name.startswith("red") else "blue")
        (folder / name).write_bytes(f"{name} is no picture".encode())


def _add_formats(folder: Path) -> None:
    folder.mkdir()
    picture = Image.fromarray(files.photograph(60, 40))
    others = [picture.rotate(90), picture.rotate(180)]
    many = {"save_all": True, "append_images": others}
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.save(folder / "pages.tif", **many)
    picture.save(folder / "moving.gif", **many)
    picture.save(folder / "moving.webp", **many)
    picture.save(folder / "moving.png", **many)
    picture.convert("LA").save(folder / "grey and alpha.png")
    Image.fromarray(np.full((40, 60), 40_000, np.uint16)).save(folder / "sixteen.png")
    Image.new("RGB", (1, 1), RED).save(folder / "one pixel.png")
    Image.new("RGB", (30_000, 2), RED).save(folder / "wide.png")
    Image.new("RGB", (2, 30_000), BLUE).save(folder / "high.png")
    for orientation in range(10):
        exif = files.oriented_exif(orientation)
        picture.save(folder / f"turned{orientation}.jpg", exif=exif)
    exif = Image.Exif()
    exif[306] = "0000:00:00 00:00:00"
    exif.get_ifd(0x8769)[36867] = "9999:99:99 99:99:99"
    picture.save(folder / "no such date.jpg", exif=exif, quality=40)
    picture.save(folder / "png.jpg", "PNG")
    picture.save(folder / "jpg.tiff", "JPEG")
    if features.check("avif"):
        picture.save(folder / "new.avif")


def _add_broken(folder: Path) -> None:
    folder.mkdir()
    whole = files.saved(Image.fromarray(files.photograph(60, 40)), "JPEG")
    contents = (b"", whole[: len(whole) // 2], b"Dear diary", bomb(100_000, 100_000), b"II*\0\xff\xff")
    for name, data in zip(BROKEN, contents, strict=True):
        (folder / name).write_bytes(data)
