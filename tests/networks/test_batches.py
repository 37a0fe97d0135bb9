"""What a batch that memory cannot take looks like, told by the libraries themselves."""

from __future__ import annotations

import importlib

import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.networks.batches import memory_explained

TOO_MUCH = 1 << 24, 1 << 22
"""256 TiB of float32."""


def fill_memory(library: str) -> None:
    module = importlib.import_module(library)
    if library == "tensorflow":
        module.zeros(TOO_MUCH)
    else:
        module.Tensor(module.Type.f32, module.Shape(TOO_MUCH))


@pytest.mark.parametrize("library", ["tensorflow", "openvino"])
def test_too_little_memory_for_a_batch_is_said_to_be_that(library: str) -> None:
    with pytest.raises(ImgclusterError, match="64 images at once: lower --batch-size"), memory_explained(64):
        fill_memory(library)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="other"), memory_explained(64):
        raise ValueError("something other")
