"""Each export format is what other programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from analysis_data import source_of

from imgcluster.output.exports import EXPORT_FORMATS, Exported, Sprite
from imgcluster.records import SilentProgress

SOURCE = source_of(np.random.default_rng(0).standard_normal((20, 12)), block=13)
KEYS = [key.tobytes().hex() for key in SOURCE.keys]


class Counted(SilentProgress):
    """Remembers how far each stage came."""

    def __init__(self) -> None:
        self.stages: list[list[int | None]] = []

    def begin(self, what: str, total: int | None = None) -> None:
        self.stages.append([total, 0])

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self.stages[-1][1] += steps  # type: ignore[operator]


def write(format_: str, out: Path, paths: dict[bytes, str], sprite: Sprite | None = None) -> None:
    progress = Counted()
    EXPORT_FORMATS[format_].write(Exported(SOURCE, paths, lambda keys: sprite), str(out), progress)
    assert progress.stages == [[20, 20]]


def test_npz_holds_keys_and_embeddings(tmp_path: Path) -> None:
    write("npz", tmp_path / "out.npz", {})
    with np.load(tmp_path / "out.npz") as archive:
        assert sorted(archive) == ["embeddings", "keys"]
        assert archive["keys"].tolist() == KEYS
        np.testing.assert_array_equal(archive["embeddings"], SOURCE.rows)
        assert archive["embeddings"].dtype == np.float32


def test_tensorboard_s_files_are_what_the_projector_reads(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write("tensorboard", out, {SOURCE.keys[3].tobytes(): "/a\tb\n\udcff.jpg"}, Sprite(b"png", 32))
    tensors = np.loadtxt(out / "tensors.tsv", delimiter="\t")
    np.testing.assert_allclose(tensors, SOURCE.rows, rtol=1e-6)
    lines = (out / "metadata.tsv").read_text().split("\n")
    assert lines[0] == "path\tkey"
    assert lines[-1] == ""
    cells = [line.split("\t") for line in lines[1:-1]]
    assert [cell[1] for cell in cells] == KEYS
    assert cells[3][0] == r"/a\tb\n\xff.jpg"
    assert (out / "sprite.png").read_bytes() == b"png"
    config = (out / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "tensors.tsv"' in config
    assert config.count("single_image_dim: 32") == 2
