"""Several processes share a graphics processor, if there is one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imgcluster.networks.places import NetworkPlaces
from imgcluster.networks.selection import NetworkChoice, choose
from imgcluster.networks.tensorflow_runtime import _import_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

    from imgcluster.networks.tensorflow_runtime import TensorFlowNetwork


@pytest.fixture
def gpu(lite0: TensorFlowNetwork, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, bool]]:
    """TensorFlow that is told of a graphics processor; what is asked of it."""
    tensorflow = importlib.import_module("tensorflow")
    asked: list[tuple[object, bool]] = []
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(
        tensorflow.config.experimental, "set_memory_growth", lambda device, on: asked.append((device, on))
    )
    return asked


def test_memory_of_every_graphics_processor_is_taken_as_needed_and_not_at_once(
    gpu: list[tuple[object, bool]],
) -> None:
    """Report B9."""
    _import_tensorflow()
    assert gpu == [("GPU:0", True), ("GPU:1", True)]


def test_memory_that_someone_else_has_set_up_is_left_as_it_is(
    gpu: list[tuple[object, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device: object, on: bool) -> None:
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    tensorflow = _import_tensorflow()
    monkeypatch.setattr(tensorflow.config.experimental, "set_memory_growth", refuse)
    assert _import_tensorflow() is tensorflow


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_memory_does_not_grow_with_the_number_of_calls(tmp_path: Path, runtime: str) -> None:
    """Report B5, with a real network; the last batch of a run is smaller, and that changes nothing."""
    if runtime == "openvino":
        pytest.importorskip("openvino")
    choice = NetworkChoice(
        "efficientnet_lite0",
        weights="random",
        runtime=runtime,
        precision="float32",
        batch_size=8,
        input_size=64,
    )
    network = choose(choice, print, places=NetworkPlaces(cache=str(tmp_path))).load()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    megabytes = []
    for number in range(600):
        network.embed(pixels[: 1 + number % 8])
        megabytes.append(_resident_megabytes())
    assert megabytes[-1] - megabytes[200] < 20


def _resident_megabytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20
