"""Networks that several test modules share, each loaded once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from imgcluster.networks.selection import NetworkChoice, choose

if TYPE_CHECKING:
    from pathlib import Path

    from imgcluster.networks.tensorflow_runtime import TensorFlowNetwork

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def lite0() -> TensorFlowNetwork:
    """EfficientNet-Lite0 with its real weights, on TensorFlow in float32, four images a batch."""
    choice = NetworkChoice("efficientnet_lite0", runtime="tensorflow", precision="float32", batch_size=4)
    return choose(choice, print).load()


@pytest.fixture(scope="session")
def inception_weights(assets: Path) -> str:
    """A real weights file of InceptionV3."""
    path = assets / "weights" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    if not path.exists():
        pytest.skip(f"no {path}")
    return str(path)
