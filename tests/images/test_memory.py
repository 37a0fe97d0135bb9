"""A very large picture does not take the process down."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import picture_files as files
import pytest

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 20_000
PROGRAM = """
import sys
from imgcluster.images.decode import decode
decoded = decode(open(sys.argv[1], "rb").read(), at_least=299)
assert (decoded.width, decoded.height) == (20_000, 20_000)
assert 299 <= min(decoded.pixels.shape[:2]) <= 2500
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def write_png(path: Path) -> None:
    """Written row by row: the test itself has no room for the whole either."""
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(files.RED) * SIDE
    data = b"".join([*(packer.compress(row) for _ in range(SIDE)), packer.flush()])
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", data), (b"IEND", b"")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(files.png_chunk(name, content) for name, content in chunks)
    )


@pytest.mark.slow
def test_a_png_of_400_megapixels_needs_no_gigabyte(tmp_path):
    write_png(tmp_path / "large.png")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "large.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 600_000, f"{int(done.stdout) >> 10} MB"
