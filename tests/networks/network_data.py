"""What the tests of networks share that is no fixture."""

from __future__ import annotations

import numpy as np

from imgcluster.networks.choice import NetworkChoice

LITE0 = NetworkChoice("efficientnet_lite0", runtime="tensorflow", precision="float32", batch_size=4)
"""The network that most tests take, for it is made quickly; kept, so that it is made once."""


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
