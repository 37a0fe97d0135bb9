"""Read a torch state dict in torch's old file format, without torch and without running anything in it.

The file holds five pickles (magic number, protocol, system information, the state dict, the storage keys) and
then, for each key, an element count and the raw values. Only the few names below may be looked up while
unpickling, and none of them is torch's code, so a crafted file can at most be refused.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import ImgclusterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _RefusedError(Exception):
    """The reason why a file is not read."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
    """Stand in for torch._utils._rebuild_tensor_v2: note what the tensor is, once it is known to be sound."""
    if not isinstance(storage, _Storage):
        raise _RefusedError("a tensor without a storage")
    (first,), lengths, steps = _counts((offset,)), _counts(shape), _counts(strides)
    if len(lengths) != len(steps):
        raise _RefusedError("a tensor whose shape and strides differ in length")
    last = first + sum((length - 1) * step for length, step in zip(lengths, steps, strict=True))
    if 0 in lengths or last >= storage.size or math.prod(lengths) > storage.size:
        raise _RefusedError("a tensor that reaches beyond its storage")
    return _Tensor(storage, first, lengths, steps)


def _counts(values: object) -> tuple[int, ...]:
    if isinstance(values, tuple) and all(type(value) is int and 0 <= value < 2**40 for value in values):
        return values
    raise _RefusedError("a shape, stride or offset that is none")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise _RefusedError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str() as key, str(), size, None):
                return _Storage(key, dtype, *_counts((size,)))
        raise _RefusedError("an unknown kind of storage")


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
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ImgclusterError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ImgclusterError(
            f"{path} is not the file that was published (its SHA-256 differs); install it again"
        )
    return parse_torch_data(data, path)


def parse_torch_data(data: bytes, path: str) -> dict[str, NDArray[Any]]:
    """Parse the bytes of a state dict; `path` is for the message of the ImgclusterError."""
    stream = io.BytesIO(data)
    try:
        tensors, order = _read_pickles(stream)
        storages = _read_storages(stream, {tensor.storage for tensor in tensors.values()}, order)
    except _RefusedError as error:
        raise ImgclusterError(f"{path} is refused: {error}") from error
    except Exception as error:
        raise ImgclusterError(f"{path} is damaged or no torch file: {type(error).__name__}") from error
    return {name: _strided(storages[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _strided(values: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    strides = tuple(step * values.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides).copy()


def _read_pickles(stream: io.BytesIO) -> tuple[dict[str, _Tensor], list[str]]:
    magic, protocol, system, tensors, order = (_Unpickler(stream).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise _RefusedError("it is not in torch's old format")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _RefusedError("its numbers are not little-endian")
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise _RefusedError("it holds something else than arrays")
    if not isinstance(order, list) or not all(isinstance(key, str) for key in order):
        raise _RefusedError("its list of storages is not one")
    return {str(name): tensor for name, tensor in tensors.items()}, order


def _read_storages(stream: io.BytesIO, wanted: set[_Storage], order: list[str]) -> dict[str, NDArray[Any]]:
    by_key = {storage.key: storage for storage in wanted}
    if len(by_key) != len(wanted) or sorted(by_key) != sorted(order):
        raise _RefusedError("its storages contradict each other")
    values: dict[str, NDArray[Any]] = {}
    for key in order:
        storage = by_key[key]
        size = int.from_bytes(stream.read(8), "little")
        raw = stream.read(storage.size * storage.dtype.itemsize)
        if size != storage.size or len(raw) != storage.size * storage.dtype.itemsize:
            raise _RefusedError("it ends too early, or a storage has another size than its tensors say")
        values[key] = np.frombuffer(raw, storage.dtype)
    return values
