"""An ONNX file of one convolution, written by hand: a few fields of Protocol Buffers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FLOAT, INT, INTS = 1, 2, 7


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def node(operation: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    named = b"".join(field(1, name) for name in inputs)
    return named + field(2, output) + field(3, output) + field(4, operation) + attribute


def values(name: str, *shape: int | str) -> bytes:
    """A name and a shape, in which a word stands for any length."""
    dimensions = b"".join(
        field(1, field(2, length) if isinstance(length, str) else field(1, length)) for length in shape
    )
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dimensions)))


def write_onnx(path: Path, kernels: np.ndarray, layout: str = "first", reshape: int | str = "") -> str:
    """Write (K, C, h, w) kernels as convolution, ReLU and mean over an image; give the path.

    The result is (n, K), or with `reshape` something else: 1: one row whatever n is, n: still maps.
    """
    shape = b"".join(field(1, length) for length in kernels.shape)
    nodes = [
        node("Conv", ["turned" if layout == "last" else "pixels", "kernels"], "maps"),
        node("Relu", ["maps"], "positive"),
        node("GlobalAveragePool", ["positive"], "means"),
        node("Flatten", ["means"], "vectors"),
    ]
    if layout == "last":
        axes = b"".join(field(8, axis) for axis in (0, 3, 1, 2))
        turned = field(1, "perm") + axes + field(20, INTS)
        nodes.insert(0, node("Transpose", ["pixels"], "turned", field(5, turned)))
    if reshape == 1:
        nodes[-1] = node(
            "Flatten", ["means"], "vectors", field(5, field(1, "axis") + field(3, 0) + field(20, INT))
        )
    elif reshape:
        nodes[-1] = node("Identity", ["means"], "vectors")
    size = ("h", "w", kernels.shape[1]) if layout == "last" else (kernels.shape[1], "h", "w")
    graph = (
        b"".join(field(1, each) for each in nodes)
        + field(2, "convolution")
        + field(5, shape + field(2, FLOAT) + field(8, "kernels") + field(9, kernels.tobytes()))
        + field(11, values("pixels", "n", *size))
        + field(12, values("vectors"))
    )
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    return str(path)
