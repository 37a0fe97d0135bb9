"""A network of one's own: an ONNX file, with a crop and a deviation per channel, added from outside."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx_file import write_onnx
from PIL import Image

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.catalog import Network, register
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.weights import NetworkPlaces
from imgcluster.records import EmbeddingNetwork, Notify
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.choose_network import choose_network
from imgcluster.workflows.extract import ExtractOptions, extract

KERNELS = np.random.default_rng(0).normal(0, 0.1, (16, 3, 5, 5)).astype(np.float32)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def build(*, weights: str, **_: object) -> str:
    """The file of weights is the network."""
    return weights


NETWORK = Network(
    name="five_by_five",
    input_size=64,
    dimension=16,
    builder=build,
    framework="onnx",
    mean=MEAN,
    std=STD,
    layout="first",
    interpolation="bicubic",
    crop=0.875,
)


def expected(path: Path) -> np.ndarray:
    """The same in a few lines of NumPy: crop, resize, normalise, convolve, ReLU, mean."""
    with Image.open(path) as image:
        side = round(min(image.size) * 0.875)
        left, top = ((length - side) // 2 for length in image.size)
        square = image.crop((left, top, left + side, top + side)).resize((64, 64), Image.Resampling.BICUBIC)
    values = ((np.asarray(square, np.float32) - MEAN) / STD).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(values, (5, 5), axis=(1, 2))
    return np.maximum(np.einsum("chwij,kcij->khw", windows, KERNELS), 0).mean(axis=(1, 2))


def test_an_onnx_network_with_a_crop_and_a_deviation_per_channel_is_a_record(
    tmp_path: Path, places: NetworkPlaces
) -> None:
    register(NETWORK)
    rng = np.random.default_rng(1)
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(tmp_path / f"{number}.png")
    weights = write_onnx(tmp_path / "net.onnx", KERNELS)
    options = ExtractOptions(store=str(tmp_path / "f.h5"), network=NETWORK.name, weights=weights)
    result = extract([tmp_path], options, choose=partial(choose_network, places=places))
    with FeatureStore(options.store) as store:
        for entry in store.paths():
            (vector,) = store.read(result.space, np.frombuffer(entry.key, np.uint8)[np.newaxis])
            np.testing.assert_allclose(vector, expected(Path(entry.path)), atol=0.01)


def load(path: str, places: NetworkPlaces, notify: Notify = print) -> EmbeddingNetwork:
    register(NETWORK)
    choice = NetworkChoice(NETWORK.name, weights=path, batch_size=2)
    return choose_network(choice, notify, places).load()


@pytest.mark.usefixtures("converted_here")
def test_colours_and_layout_are_those_of_the_record(tmp_path: Path, places: NetworkPlaces) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), np.uint8)
    usual = load(write_onnx(tmp_path / "net.onnx", KERNELS), places).embed(pixels)
    other = replace(
        NETWORK, name="five_by_five_bgr", channels="bgr", mean=MEAN[::-1], std=STD[::-1], layout="last"
    )
    register(other)
    path = write_onnx(tmp_path / "bgr.onnx", KERNELS[:, ::-1], layout="last")
    turned = choose_network(NetworkChoice(other.name, weights=path, batch_size=2), print, places).load()
    np.testing.assert_allclose(turned.embed(pixels), usual, atol=1e-4)


@pytest.mark.usefixtures("converted_here")
def test_a_model_that_is_not_as_it_was_made_is_made_again(tmp_path: Path) -> None:
    path, cache, said = write_onnx(tmp_path / "net.onnx", KERNELS), tmp_path / "cache", list[str]()
    pixels = np.full((1, 64, 64, 3), 7, np.uint8)
    vectors = load(path, NetworkPlaces(cache=str(cache)), said.append).embed(pixels)
    assert not said
    (folder,) = (cache / "models").iterdir()
    graph = (folder / "model.xml").read_bytes()
    (folder / "model.xml").write_bytes(graph.replace(b"Convolution", b"Exec"))
    again = load(path, NetworkPlaces(cache=str(cache)), said.append)
    np.testing.assert_array_equal(again.embed(pixels), vectors)
    assert said == [f"{folder} is not as imgcluster made it: it is made again"]


@pytest.mark.usefixtures("converted_here")
def test_a_cache_that_cannot_be_written_is_named_and_the_network_runs(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    said: list[str] = []
    network = load(
        write_onnx(tmp_path / "net.onnx", KERNELS), NetworkPlaces(cache=str(tmp_path / "cache")), said.append
    )
    assert network.embed(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 16)
    (note,) = said
    assert note.startswith(f"cannot keep a converted model in {tmp_path}/cache/models")


@pytest.mark.usefixtures("converted_here")
@pytest.mark.parametrize("batch", [1, "n"])
def test_a_file_that_does_not_give_a_vector_an_image_is_refused_and_nothing_is_kept(
    tmp_path: Path, batch: int | str
) -> None:
    path = write_onnx(tmp_path / "net.onnx", KERNELS, reshape=batch)
    with pytest.raises(ImgclusterError, match=r"five_by_five cannot be used: .* not a vector an image"):
        load(path, NetworkPlaces(cache=str(tmp_path / "cache")))
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_it_runs_on_openvino_alone_and_takes_onnx_files_alone(tmp_path: Path) -> None:
    register(NETWORK)
    for options in ({"runtime": "tensorflow"}, {"precision": "float16"}):
        with pytest.raises(UsageError, match="five_by_five is an ONNX network"):
            NetworkChoice(NETWORK.name, **options)
    (tmp_path / "net.h5").touch()
    with pytest.raises(ImgclusterError, match=r"five_by_five takes an \.onnx file"):
        choose_network(NetworkChoice(NETWORK.name, weights=str(tmp_path / "net.h5")), print)
    with pytest.raises(ImgclusterError, match="no weights of five_by_five are published"):
        choose_network(NetworkChoice(NETWORK.name), print)
