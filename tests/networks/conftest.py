"""Networks and converted models that several test modules share, each made once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from network_data import LITE0

from imgcluster.networks import conversion
from imgcluster.networks.selection import choose
from imgcluster.networks.weights import NetworkPlaces

if TYPE_CHECKING:
    from imgcluster.networks.tensorflow_runtime import TensorFlowNetwork

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> NetworkPlaces:
    """A cache of converted models, for all of the processes that test at once."""
    base = tmp_path_factory.getbasetemp()
    return NetworkPlaces(cache=str(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base))


@pytest.fixture
def converted_here() -> Iterator[None]:
    """Models are made in this process, which has loaded the libraries, and not in a child."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "_in_child", lambda make, *arguments: make(*arguments))
        yield


@pytest.fixture(scope="session")
def lite0(places: NetworkPlaces) -> TensorFlowNetwork:
    """EfficientNet-Lite0 with its real weights, on TensorFlow in float32, four images a batch."""
    return choose(LITE0, print, places=places).load()


@pytest.fixture(scope="session")
def inception_weights(assets: Path) -> str:
    """A real weights file of InceptionV3."""
    path = assets / "weights" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    if not path.exists():
        pytest.skip(f"no {path}")
    return str(path)
