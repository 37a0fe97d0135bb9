"""What `store export` promises: files for other programs, over nothing but an earlier export."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from clusterings import COLOURS, IMAGES, Desk, Notes, pictures

from imgcluster.errors import ImgclusterError
from imgcluster.output.exports import EXPORT_FORMATS
from imgcluster.workflows.export import export
from imgcluster.workflows.options import ExportOptions


def run(desk: Desk, out: Path, form: str = "npz") -> int:
    return export(ExportOptions(store=desk.store, out=str(out), format=form)).rows


def test_an_archive_replaces_an_earlier_one(desk: Desk) -> None:
    out = desk.folder / "out.npz"
    assert run(desk, out) == run(desk, out) == IMAGES
    with np.load(out) as archive:
        assert archive["embeddings"].shape == (IMAGES, 12)


@pytest.mark.parametrize("form", ["npz", "tensorboard"])
def test_no_store_no_photograph_and_no_file_of_others_is_overwritten(desk: Desk, form: str) -> None:
    link = desk.folder / "link.npz"
    link.hardlink_to(desk.store)
    table = desk.folder / "table.csv"
    table.write_text("mine")
    for target in (Path(desk.store), link, table, pictures(desk.photos)[0]):
        before = target.read_bytes()
        with pytest.raises(ImgclusterError, match=str(target)):
            run(desk, target, form)
        assert target.read_bytes() == before


def test_an_archive_is_no_folder(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="is a folder"):
        run(desk, desk.photos)


def test_the_option_offers_every_format() -> None:
    (format_,) = (field for field in ExportOptions.declared if field.name == "format")
    assert format_.choices == tuple(EXPORT_FORMATS)


@pytest.mark.parametrize("name", ["metadata.tsv", "tensors.tsv", "sprite.png"])
def test_a_folder_with_files_of_others_is_left_alone(desk: Desk, name: str) -> None:
    out = desk.folder / "projector"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(ImgclusterError, match=name):
        run(desk, out, "tensorboard")
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


def test_a_folder_is_written_again(desk: Desk) -> None:
    out = desk.folder / "projector"
    for _ in range(2):
        assert run(desk, out, "tensorboard") == IMAGES
        assert len((out / "tensors.tsv").read_text().splitlines()) == IMAGES


def test_the_sprite_shows_each_row_of_the_table_in_its_order(desk: Desk) -> None:
    (desk.photos / "blue" / "blue0.png").unlink()
    out = desk.folder / "projector"
    progress = Notes()
    for _ in range(2):
        export(
            ExportOptions(store=desk.store, out=str(out), format="tensorboard"),
            thumbnails=str(desk.folder / "thumbnails"),
            progress=progress,
        )
    sheet = cv2.imread(str(out / "sprite.png"))[:, :, ::-1]
    assert sheet.shape == (4 * 64, 4 * 64, 3)
    rows = [line.split("\t") for line in (out / "metadata.tsv").read_text().splitlines()[1:]]
    for index, (path, _) in enumerate(rows):
        row, column = divmod(index, 4)
        colour = Path(path).parent.name if Path(path).exists() else "white"
        wanted = {**COLOURS, "white": (255, 255, 255)}[colour]
        np.testing.assert_allclose(sheet[row * 64 + 32, column * 64 + 32], wanted, atol=25)
    assert progress.said("cannot be read any more: 1 image")
    config = (out / "projector_config.pbtxt").read_text()
    assert 'image_path: "sprite.png"' in config
    assert config.count("single_image_dim: 64") == 2
