"""Every file of the awkward collection is read as expected, or refused with a reason."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode

FOLDER = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", Path(__file__).parents[3] / "shared")) / "awkward"
TABLE = FOLDER / "expected.csv"
LINES = TABLE.read_text("utf-8").splitlines() if TABLE.exists() else []
ROWS = {row["file"]: row for row in csv.DictReader(LINES)}

# Readable elsewhere, refused here, each for a reason that the user is told.
REFUSED = {
    "hopper.ico": "an icon is no photograph; its reader would be one more way in for a crafted file",
    "hopper.psd": "a Photoshop document: what it shows depends on its layers",
    "hopper.qoi": "a rare format that no camera or phone writes",
    "rgb32rle.tga": "a rare format without a signature, so its content cannot be told from noise",
    "sunraster.im1": "a rare format of old workstations",
}

# Crafted: Pillow 13 refuses it, Pillow 12 gets other colours than OpenCV. Surviving it is enough.
NEITHER_RIGHT_NOR_WRONG = {"tiff_tiled_jpeg_oob_read.tif"}

# Refused by the decoders' default limits only; honest pictures, so they are read here.
READ_ALTHOUGH_LARGE = {
    "16384x16384.png": (16384, 16384),
    "200MP.heic": (12240, 16320),
    "bilevel_15000x15000.png": (15000, 15000),
}

LOSSY = (".webp", ".avif", ".avifs", ".heic", ".heif", ".j2k", ".jp2")

pytestmark = pytest.mark.skipif(
    not ROWS, reason=f"no awkward files at {FOLDER}; IMGCLUSTER_TEST_ASSETS names the folder"
)


def _tolerance(row: dict[str, str]) -> float:
    return 4 if row["file"].lower().endswith(LOSSY) else 2


def _skip_without_heif(name: str) -> None:
    if name.endswith((".heic", ".heif")):
        pytest.importorskip("pillow_heif", reason="HEIC needs the extra imgcluster[heic]")


@pytest.mark.parametrize("name", sorted(set(ROWS) - set(READ_ALTHOUGH_LARGE)))
def test_is_read_as_expected_or_refused_with_a_reason(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    row = ROWS[name]
    _skip_without_heif(name)
    data = (FOLDER / "files" / name).read_bytes()
    if not row["width"] or name in REFUSED:
        with pytest.raises(UnreadableImage) as refusal:
            decode(data)
        reason = str(refusal.value)
        assert len(reason) > 10
        assert "\n" not in reason
    else:
        try:
            decoded = decode(data)
        except UnreadableImage:
            assert name in NEITHER_RIGHT_NOR_WRONG
            return
        if name in NEITHER_RIGHT_NOR_WRONG:
            return
        assert (decoded.width, decoded.height) == (int(row["width"]), int(row["height"]))
        assert decoded.pixels.shape == (decoded.height, decoded.width, 3)
        mean = decoded.pixels.reshape(-1, 3).mean(axis=0)
        expected = [float(row[f"mean_{channel}"]) for channel in "rgb"]
        np.testing.assert_allclose(mean, expected, atol=_tolerance(row))
    assert capfd.readouterr() == ("", ""), "decoders keep their remarks to themselves"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READ_ALTHOUGH_LARGE) if ROWS else [])
def test_an_honest_large_picture_is_read(name: str) -> None:
    _skip_without_heif(name)
    decoded = decode((FOLDER / "files" / name).read_bytes(), at_least=299)
    assert (decoded.width, decoded.height) == READ_ALTHOUGH_LARGE[name]
    assert min(decoded.pixels.shape[:2]) >= 299
    assert decoded.pixels.nbytes < 10_000_000, "large pictures come at a reduced scale where that is enough"


@pytest.mark.parametrize(
    "name", sorted(name for name in ROWS if "truncated" in ROWS[name]["kind"] and name.endswith("jpg"))
)
def test_a_cut_jpeg_is_taken_and_marked_where_that_was_asked_for(name: str) -> None:
    data = (FOLDER / "files" / name).read_bytes()
    if name == "trunc_header_only.jpg":
        with pytest.raises(UnreadableImage, match="header"):
            decode(data, DecodeLimits(accept_truncated=True))
        return
    decoded = decode(data, DecodeLimits(accept_truncated=True))
    assert bool(decoded.note) == (not ROWS[name]["width"])
