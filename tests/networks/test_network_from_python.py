"""`imgcluster.network`: a function or a model of this process, with a feature space of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeNetwork, FakeSource, write_image, write_images

import imgcluster
from imgcluster.errors import ImgclusterError, NetworkUnavailable, UsageError
from imgcluster.networks.catalog import Network
from imgcluster.records import FeatureSpace

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@dataclass
class Means:
    """The mean colour, 1 added; remembers what it was given."""

    seen: list[np.ndarray] = field(default_factory=list)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.seen.append(pixels)
        return pixels.mean(axis=(1, 2)) + 1


def make(function: object, **changes: object) -> Network:
    return imgcluster.network(
        function,
        **{"name": "means", "version": "1", "input_size": 16, **changes},  # type: ignore[arg-type]
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 4, COLOURS)
    return tmp_path


def test_it_is_given_what_mean_and_deviation_say_and_its_vectors_are_kept(here: Path) -> None:
    write_image(here / "one" / "a.png", (255, 0, 0), side=16)
    means = Means()
    network = make(means, mean=(100, 0, 50), std=50, channels="bgr")
    imgcluster.extract("one", network=network)
    (batch,) = means.seen
    assert (batch.shape, batch.dtype) == ((1, 16, 16, 3), np.float32)
    with imgcluster.FeatureStore("features.h5") as store:
        _, _, (vector,) = store.read()
    # Blue comes first: of noise from -8 to 7, cut off at 0, the mean is 1.75; then green; red has 252.75.
    np.testing.assert_allclose(vector - 1, [(1.75 - 100) / 50, 1.75 / 50, (252.75 - 50) / 50], atol=0.03)


def test_extract_assign_and_compare_take_it(here: Path) -> None:
    means = Means()
    network = make(means)
    assert imgcluster.extract("photos", network=network).new == 12
    assert imgcluster.extract("photos", network="means").new == 0
    imgcluster.cluster(k=3)
    write_image(here / "new" / "a.png", COLOURS["red"], noise=99)
    found = imgcluster.assign("new")
    assert (found.new, len(found.images)) == (1, 1)
    other = make(Means(), name="means_of_small", input_size=8)
    compared = imgcluster.compare("photos", k=3, networks=[network, other], algorithms="kmeans", seeds=1)
    assert compared.table()["network"] == ["means", "means_of_small"]
    assert compared.table()["accuracy"] == [1, 1]


def test_another_version_is_another_space_and_the_same_is_not(here: Path) -> None:
    spaces = [imgcluster.extract("photos", network=make(Means(), version=version)).space for version in "121"]
    assert spaces[0] == spaces[2] != spaces[1]
    assert imgcluster.extract("photos", network=make(Means(), std=2)).space not in spaces


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda pixels: pixels.mean(axis=3), r"makes float32 \(12, 16, 16\) of a batch \(12, 16, 16, 3\)"),
        (lambda pixels: pixels.mean(axis=(1, 2))[:-1], r"has to make numbers \(12, D\)"),
        (lambda pixels: np.log(pixels.mean(axis=(1, 2)) * 0 - 1), "NaN or infinity for its first images"),
        (lambda pixels: pixels.mean(axis=(1, 2)) * 0, "nothing but zeros"),
        (lambda pixels: ["a"] * len(pixels), "has to make numbers"),
        (lambda pixels: 1 / 0, "network bad: ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_gives_no_vectors_is_refused_and_nothing_is_kept(
    here: Path, function: object, says: str
) -> None:
    with pytest.raises(ImgclusterError, match=says):
        imgcluster.extract("photos", network=make(function, name="bad"))
    with imgcluster.FeatureStore("features.h5") as store:
        assert store.spaces == ()


def test_a_later_batch_of_another_length_is_refused(here: Path) -> None:
    lengths = iter((3, 4))
    network = make(lambda pixels: np.ones((len(pixels), next(lengths))), name="growing")
    with pytest.raises(ImgclusterError, match=r"has to make numbers \(6, 3\)"):
        imgcluster.extract("photos", network=network, batch_size=6)


def test_what_cannot_be_a_network_is_said_at_once(here: Path) -> None:
    with pytest.raises(UsageError, match='give it version="1"'):
        imgcluster.network(Means(), name="means", input_size=16)
    with pytest.raises(UsageError, match="not int"):
        make(3)
    for wrong, says in (
        ({"name": "vgg16"}, "another network is called 'vgg16'"),
        ({"name": "bad 3"}, "'bad 3': a name is of small letters, digits, '_' and '.'"),
        ({"input_size": 0}, "input_size=0 cannot be"),
        ({"mean": (1, 2)}, r"mean=\(1, 2\) cannot be: give a number, or one for each of three channels"),
        ({"std": 0}, "std=0 cannot be: give a number above 0"),
        ({"channels": "RGB"}, "channels='RGB' is unknown: it is one of rgb, bgr"),
        ({"interpolation": "cubic"}, "is one of area, bilinear, bicubic, lanczos"),
        ({"crop": 2}, "crop=2 cannot be"),
    ):
        with pytest.raises(UsageError, match=says):
            make(Means(), **wrong)
    for options in ({"pooling": "max"}, {"runtime": "openvino"}, {"precision": "int8"}):
        with pytest.raises(UsageError, match="a network of your own"):
            imgcluster.extract("photos", network=make(Means()), **options)
    with pytest.raises(UsageError, match="weights of its own"):
        imgcluster.extract("photos", network=make(Means()), weights="random")


def test_a_source_that_breaks_its_word_is_refused_and_assign_takes_one_too(here: Path) -> None:
    broken = FakeSource(FakeNetwork(dimension=13), FeatureSpace("broken", "22" * 32, 16))
    with pytest.raises(
        NetworkUnavailable, match=r"gives \(4, 12\) float32 for 4 images, .* vectors have 13 numbers"
    ):
        imgcluster.extract("photos", source=broken)
    source = FakeSource()
    imgcluster.extract("photos", source=source)
    imgcluster.cluster(k=3)
    write_image(here / "new" / "a.png", COLOURS["red"], noise=99)
    assert imgcluster.assign("new", source=source).new == 1


@pytest.mark.slow
def test_a_keras_model_is_known_by_its_weights_and_layers(here: Path) -> None:
    keras = pytest.importorskip("keras")

    def build(pooling: str = "avg", seed: int = 0) -> object:
        keras.utils.set_random_seed(seed)
        return keras.applications.MobileNetV3Small(
            input_shape=(32, 32, 3), weights=None, include_top=False, pooling=pooling
        )

    def space(model: object) -> str:
        network = imgcluster.network(model, name="small", input_size=32)
        return imgcluster.extract("photos", network=network).space

    first = build()
    name = space(first)
    assert space(build()) == name  # whose layers have other names
    assert len({name, space(build(pooling="max")), space(build(seed=1))}) == 3
    with imgcluster.FeatureStore("features.h5") as store:
        paths, _, rows = store.read(name)
    assert rows.shape == (12, 576)
    import cv2

    picture = cv2.resize(cv2.imread(paths[0])[:, :, ::-1], (32, 32), interpolation=cv2.INTER_LINEAR)
    expected = first.predict_on_batch(picture[None].astype(np.float32))[0]
    assert np.corrcoef(expected, rows[0])[0, 1] > 0.9


def test_a_torch_module_is_known_by_its_weights_and_computes_in_their_type(here: Path) -> None:
    torch = pytest.importorskip("torch")

    def build(seed: int = 0, dtype: object = torch.float32) -> torch.nn.Module:
        torch.manual_seed(seed)
        layers = (
            torch.nn.Conv2d(3, 8, 3, stride=2),
            torch.nn.BatchNorm2d(8),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )
        return torch.nn.Sequential(*layers).to(dtype)

    def space(module: object) -> str:
        network = imgcluster.network(module, name="small", input_size=24, mean=127.5, std=127.5)
        return imgcluster.extract("photos", network=network).space

    module = build()
    name = space(module)
    assert space(build()) == name != space(build(seed=1))
    half = space(build(dtype=torch.bfloat16))
    with imgcluster.FeatureStore("features.h5") as store:
        paths, _, rows = store.read(name)
        _, _, halves = store.read(half)
    import cv2

    pixels = np.stack([cv2.imread(path)[:, :, ::-1] for path in paths]).astype(np.float32)
    expected = module.eval()(torch.from_numpy((pixels / 127.5 - 1).transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(rows, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(halves, rows, atol=0.05)
