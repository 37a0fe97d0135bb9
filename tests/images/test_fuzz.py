"""Damaged files by the thousand, pictures and tables: no crash, no hang, no growth of memory, no noise."""

from __future__ import annotations

import collections
import io
import itertools
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import picture_files as files
import pytest
import written_by_hand as by_hand
from PIL import Image, features

COUNT = int(os.environ.get("IMGCLUSTER_FUZZ_FILES", "4000"))
PER_PROCESS = 500
SECONDS_PER_FILE, SECONDS_TO_START = 20, 300
MEGABYTES = 600
# The one remark of libjpeg that nothing in the file foretells: its codes themselves are wrong.
KNOWN_NOISE = {"Corrupt JPEG data: bad Huffman code"}
WORKER = Path(__file__).with_name("fuzz_worker.py")


@dataclass
class Figures:
    tried: int = 0
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    megabytes: list[int] = field(default_factory=list)
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)


def make_originals(folder: Path) -> list[Path]:
    """One file of each kind that the decoders treat differently."""
    picture = Image.fromarray(files.photograph(200, 150))
    alpha = picture.convert("RGBA")
    alpha.putalpha(128)
    plans = [
        ("JPEG", picture, {}),
        ("JPEG", picture, {"progressive": True}),
        ("JPEG", picture, {"restart_marker_blocks": 5}),
        ("JPEG", picture.convert("CMYK"), {}),
        ("JPEG", picture.convert("L"), {"exif": files.oriented_exif(6)}),
        ("PNG", picture, {}),
        ("PNG", alpha, {}),
        ("PNG", picture.convert("P"), {"transparency": 3}),
        ("PNG", picture.convert("L").convert("I;16"), {}),
        ("GIF", picture, {"save_all": True, "append_images": [picture.rotate(90)]}),
        ("WEBP", picture, {}),
        ("WEBP", alpha, {"lossless": True}),
        ("BMP", picture, {}),
        ("BMP", picture.convert("P"), {}),
        ("PPM", picture, {}),
        ("JPEG2000", picture, {}),
        *(
            ("TIFF", picture, {"compression": how})
            for how in (None, "tiff_lzw", "jpeg", "tiff_deflate", "packbits")
        ),
        ("TIFF", picture.convert("1"), {"compression": "group4"}),
        ("TIFF", picture.convert("F"), {}),
    ]
    if features.check("avif"):
        plans.append(("AVIF", picture, {"speed": 10}))
    originals = []
    for number, (kind, image, options) in enumerate(plans):
        path = folder / f"{number:02}.{kind.lower()}"
        path.write_bytes(files.saved(image, kind, **options))
        originals.append(path)
    for bits in (32, 64):  # what Pillow leaves to OpenCV
        path = folder / f"{len(originals):02}.tiff"
        colours = (files.photograph(200, 150) / 255).astype(f"f{bits // 8}")
        path.write_bytes(by_hand.tiff(colours, sample_format=3, tile=bits))
        originals.append(path)
    for number, data in enumerate([*tiffs_of_directories(), *tables()], len(originals)):
        path = folder / f"{number:02}{'.tiff' if data[:2] in {b'II', b'MM'} else '.csv'}"
        path.write_bytes(data)
        originals.append(path)
    return originals


def tiffs_of_directories() -> list[bytes]:
    """TIFFs in which it takes a look at the directories to find the picture, or its channels."""
    page, preview = files.photograph(60, 50), files.photograph(16, 12)
    many = np.resize(page, (50, 60, 5))
    heights = page[..., :1].astype(np.float32)
    with io.BytesIO() as large:
        Image.fromarray(page).save(large, "TIFF", big_tiff=True, compression="tiff_lzw")
        big = large.getvalue()
    return [
        by_hand.tiff_of((preview, {"subfile_type": 1}), (page, {}), within=(1,)),
        by_hand.tiff_of((preview, {"subfile_type": 1}), (page, {}), (preview, {"subfile_type": 1})),
        by_hand.tiff(many, photometric=1),
        by_hand.tiff(many.astype(np.uint16), photometric=1, planar=True, tile=16, big_endian=True),
        by_hand.tiff(many.astype(np.float32), photometric=1, sample_format=3, planar=True),
        by_hand.tiff(heights, photometric=1, sample_format=3, no_data=b"-9999\0"),
        big,
    ]


def tables() -> list[bytes]:
    """What people write for us: labels, decisions, plans, edits."""
    keys = [f"{number:064x}" for number in range(6)]
    return [
        "".join(["path,label\n", *(f'photos/{n}.jpg,"cat, {n}"\n' for n in range(6))]).encode(),
        'path;label\r\na.jpg;ä\r\nb.jpg;"x\ny"\r\n'.encode("utf-8-sig"),
        "".join(["key_a,key_b\n", *(f"{a},{b}\n" for a, b in itertools.pairwise(keys))]).encode(),
        "".join(
            ["group,verdict,path,key\n", *(f"{n // 2},keep,./{n}.jpg,{key}\n" for n, key in enumerate(keys))]
        ).encode(),
        "".join(["key,path,cluster,name\n", *(f"{key},,{n},\n" for n, key in enumerate(keys))]).encode()
        + b",,0,cats\n",
    ]


def run_worker(originals: list[Path], first: int, count: int, figures: Figures) -> int:
    """Try files from `first` on and return how many were dealt with; a crash or a hang ends a process."""
    child = subprocess.Popen(
        [sys.executable, str(WORKER), "0", str(first), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        noise: list[str] = []
        listener = threading.Thread(target=lambda: noise.extend(child.stderr.read().splitlines()))
        listener.start()
        child.stdin.write("\n".join(map(str, originals)))
        child.stdin.close()
        done, at = 0, "start"
        hung = threading.Event()
        while True:
            seconds = SECONDS_TO_START if at == "start" else SECONDS_PER_FILE
            watch = threading.Timer(seconds, lambda: (hung.set(), child.kill()))
            watch.start()
            line = child.stdout.readline()
            watch.cancel()
            if not line:
                break
            word, number, rest = line.rstrip("\n").split(" ", 2)
            if word == "begin":
                at = f"{number} {rest}"
                continue
            done += 1
            memory, result = rest.split(" ", 1)
            figures.megabytes.append(int(memory))
            figures.outcomes[result.split(" ", 1)[0]] += 1
            if result not in {"refused", "decoded", "read"}:
                figures.wrong.append(f"{at}: {result}")
        listener.join()
    figures.noise.extend(line for line in noise if line not in KNOWN_NOISE)
    if done < count:
        (figures.hangs if hung.is_set() else figures.crashes).append(f"{at} (exit {child.returncode})")
        done += 1
    figures.tried += done
    return done


def fuzz(folder: Path, count: int) -> Figures:
    originals = make_originals(folder)
    awkward = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", Path(__file__).parents[3] / "shared")) / "awkward"
    originals += sorted(path for path in (awkward / "files").glob("*") if 0 < path.stat().st_size < 60_000)
    figures = Figures()
    first = 0
    while first < count:
        first += run_worker(originals, first, min(PER_PROCESS, count - first), figures)
    return figures


def check(figures: Figures) -> None:
    print(
        f"\n{figures.tried} files tried, {dict(figures.outcomes)}; crashes {len(figures.crashes)}, "
        f"hangs {len(figures.hangs)}, memory at most {max(figures.megabytes)} MB"
    )
    assert figures.crashes == []
    assert figures.hangs == []
    assert figures.wrong == []
    assert figures.noise == []
    assert max(figures.megabytes) < MEGABYTES


@pytest.mark.long
def test_thousands_of_damaged_files_crash_nothing(tmp_path):
    figures = fuzz(tmp_path, COUNT)
    check(figures)
    assert figures.tried == COUNT
    if COUNT >= 500:  # of a few files all may be of one kind
        assert figures.outcomes["decoded"] > COUNT // 20
        assert figures.outcomes["refused"] > COUNT // 20


def test_some_damaged_files_crash_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLUSTER_TEST_ASSETS", str(tmp_path / "none"))
    figures = fuzz(tmp_path, 150)
    check(figures)
    assert figures.tried == 150
