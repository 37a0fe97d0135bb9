"""Read a torch state dict in torch's old file format, without torch and without running anything in it.

The file holds five pickles (magic number, protocol, system information, the state dict, the storage keys) and
then, for each key, an element count and the raw values. Only the few names below may be looked up while
unpickling, and none of them is torch's code. What a file holds is known beforehand by its digest.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import ImgclusterError, explained
from imgcluster.files import named

_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_Tensor = tuple[str, int, tuple[int, ...], tuple[int, ...]]


def _rebuild_tensor(
    storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    """Stand in for torch._utils._rebuild_tensor_v2: note what the tensor is, for its values come later."""
    return storage, offset, shape, strides


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return str(key)


def read_torch_file(path: str, sha256: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a state dict, by name.

    Parameters
    ----------
    path
        A file in torch's format from before version 1.6.
    sha256
        The digest in hex that the file must have; it is checked before anything in the file is looked at.

    Raises
    ------
    ImgclusterError
        The digest differs, or the file holds anything but arrays of float32 and int64.
    """
    with explained(f"cannot read {path}"), named(path) as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ImgclusterError(
            f"{path} is not the file that was published (its SHA-256 differs); install it again"
        )
    try:
        return parse_torch_data(data)
    except Exception as error:
        raise ImgclusterError(f"{path} is refused: {error}") from error


def parse_torch_data(data: bytes) -> dict[str, NDArray[Any]]:
    """Parse the bytes of a state dict; whatever goes wrong is an exception of some kind."""
    stream = io.BytesIO(data)
    _magic, _protocol, _system = (_Unpickler(stream).load() for _ in range(3))
    unpickler = _Unpickler(stream)
    tensors: dict[str, _Tensor] = unpickler.load()
    storages = {}
    for key in _Unpickler(stream).load():
        dtype, size = unpickler.dtypes[key], int.from_bytes(stream.read(8), "little")
        storages[key] = np.frombuffer(stream.read(size * dtype.itemsize), dtype, size)
    return {name: _strided(storages[tensor[0]], *tensor[1:]) for name, tensor in tensors.items()}


def _strided(
    values: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    last = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    if min((offset, last, *shape, *strides), default=0) < 0 or last >= len(values):
        raise ValueError("an array reaches beyond its values")  # as_strided would read other memory
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps).copy()
