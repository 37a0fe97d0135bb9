"""EfficientNet-Lite in Keras (Tan and Le 2019; the Lite form: TensorFlow's TPU repository).

EfficientNet without squeeze-and-excite, with ReLU6, its stem and head not scaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras import Input, Model, layers
from numpy.typing import NDArray

from imgcluster.errors import ImgclusterError

# repeats, kernel, stride, expansion, filters
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# The PyTorch port's names for what is stem, head, expand, depthwise and project here.
_CONVOLUTIONS = {
    "stem": "_conv_stem",
    "head": "_conv_head",
    "expand": "_expand_conv",
    "depthwise": "_depthwise_conv",
    "project": "_project_conv",
}
_NORMS = {"stem": "_bn0", "head": "_bn1", "expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def efficientnet_lite0(**options: Any) -> Any:
    """Build EfficientNet-Lite0 without its classifier; the keywords are those of `keras.applications`."""
    return _build("efficientnet_lite0", 1.0, 1.0, **options)


def efficientnet_lite2(**options: Any) -> Any:
    """Build EfficientNet-Lite2, as `efficientnet_lite0`."""
    return _build("efficientnet_lite2", 1.1, 1.2, **options)


def _build(
    name: str,
    width: float,
    depth: float,
    *,
    input_shape: tuple[int, int, int],
    pooling: str | None = None,
    **_: object,
) -> Any:
    inputs = x = Input(input_shape)
    x = _convolve(layers.Conv2D, x, "stem", filters=32, kernel_size=3, strides=2)
    number = 0
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            repeats = math.ceil(repeats * depth)  # noqa: PLW2901
        for repeat in range(repeats):
            strides = stride if repeat == 0 else 1
            x = _block(x, f"block{number}", _round_filters(filters * width), kernel, strides, expansion)
            number += 1
    x = _convolve(layers.Conv2D, x, "head", filters=1280, kernel_size=1)
    if pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="pool")(x)
    return Model(inputs, x, name=name)


def _convolve(layer: Any, x: Any, name: str, *, relu: bool = True, **options: Any) -> Any:
    x = layer(padding="same", use_bias=False, name=f"{name}_conv", **options)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6, name=f"{name}_relu")(x) if relu else x


def _block(x: Any, name: str, filters: int, kernel: int, strides: int, expansion: int) -> Any:
    channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = _convolve(layers.Conv2D, y, f"{name}_expand", filters=channels * expansion, kernel_size=1)
    y = _convolve(layers.DepthwiseConv2D, y, f"{name}_depthwise", kernel_size=kernel, strides=strides)
    y = _convolve(layers.Conv2D, y, f"{name}_project", relu=False, filters=filters, kernel_size=1)
    if strides == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _round_filters(filters: float) -> int:
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8


def assign_torch_state(model: Any, state: Mapping[str, NDArray[Any]], path: str) -> None:
    """Put the arrays of the PyTorch port's state dict into `model`; `path` is for the message of an error."""
    try:
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(_torch_arrays(layer, state))
    except (KeyError, ValueError) as error:
        raise ImgclusterError(f"{path} does not fit {model.name}: layer {layer.name} differs") from error


def _torch_arrays(layer: Any, state: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    part, _, kind = layer.name.rpartition("_")
    if kind == "bn":
        norm = _torch_name(part, _NORMS)
        return [state[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
    kernel = state[f"{_torch_name(part, _CONVOLUTIONS)}.weight"]
    # (out, in, h, w) to (h, w, in, out); depthwise (channel, 1, h, w) to (h, w, channel, 1)
    return [kernel.transpose((2, 3, 0, 1) if part.endswith("depthwise") else (2, 3, 1, 0))]


def _torch_name(part: str, names: Mapping[str, str]) -> str:
    block, _, role = part.rpartition("_")
    prefix = f"_blocks.{block.removeprefix('block')}." if block else ""
    return prefix + names[role]
