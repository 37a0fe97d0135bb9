import hashlib
import io
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.torch_file import read_torch_file
from imgcluster.networks.weights import locate

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickles as a reference to `module.name`, without that being importable."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Rebuilt:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Writer(pickle._Pickler):
    """Writes what torch wrote, and what it never would."""

    def persistent_id(self, value):
        return value if isinstance(value, tuple) and value[:1] == ("storage",) else None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Named):
            self.write(f"c{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Rebuilt):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


REBUILD = Named("torch._utils", "_rebuild_tensor_v2")


def storage(key="0", size=6, kind="FloatStorage"):
    return ("storage", Named("torch", kind), key, "cpu", size, None)


def tensor(shape=(2, 3), stride=(3, 1), offset=0, of=None):
    return Rebuilt(REBUILD, of or storage(), offset, shape, stride, False, OrderedDict())


def torch_file(state, *, magic=MAGIC, protocol=1001, system=None, order=("0",), values=None):
    stream = io.BytesIO()
    for part in (magic, protocol, {"little_endian": True} if system is None else system, state, list(order)):
        Writer(stream, 2).dump(part)
    raw = np.arange(6, dtype="<f4").tobytes() if values is None else values
    for _ in order:
        stream.write(struct.pack("<q", 6) + raw)
    return stream.getvalue()


def read(folder, data):
    path = folder / "f.pth"
    path.write_bytes(data)
    return read_torch_file(str(path), hashlib.sha256(data).hexdigest())


def test_arrays_come_back_with_their_shapes(tmp_path):
    arrays = read(tmp_path, torch_file({"w": tensor(), "last": tensor((2,), (1,), 4)}))
    np.testing.assert_array_equal(arrays["w"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(arrays["last"], [4, 5])


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path):
    arrays = read(tmp_path, torch_file({"w": tensor((3, 2), (1, 3))}))
    np.testing.assert_array_equal(arrays["w"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(
    "data",
    [
        torch_file({"w": tensor((3, 3), (3, 1))}),
        torch_file({"w": tensor(offset=1)}),
        torch_file({"w": tensor((2**30, 2**30), (0, 0))}, values=b""),
        torch_file({"w": tensor((2, 3), (-3, 1))}),
        torch_file({"w": tensor((2, 3), (3,))}),
        torch_file({"w": tensor(offset=-1)}),
        torch_file({"w": 1}),
        torch_file({"w": tensor()}, order=()),
        torch_file({"w": tensor()}, values=b"\0" * 20),
        b"",
        b"not a pickle",
    ],
)
def test_a_file_that_is_not_sound_gives_no_arrays(tmp_path, data):
    """And reads no memory that is not the file's."""
    with pytest.raises(ImgclusterError, match=r"f\.pth is refused: .") as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr")]
)
def test_nothing_in_a_crafted_file_runs(tmp_path, module, name):
    flag = tmp_path / "ran"
    call = Rebuilt(Named(module, name), f"__import__('os').mkdir({str(flag)!r}) or touch {flag}")
    for data in (torch_file({"w": call}), torch_file({"w": tensor()}, system=call)):
        with pytest.raises(ImgclusterError, match=rf"it refers to {module}\.{name}"):
            read(tmp_path, data)
    assert not os.path.exists(flag)


@pytest.fixture(scope="module")
def packaged():
    return Path(locate(find_network("efficientnet_lite0")).path).read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, packaged, share):
    with pytest.raises(ImgclusterError, match=r"f\.pth is"):
        read(tmp_path, packaged[: int(share * len(packaged))])


def test_the_checksum_is_looked_at_first(tmp_path):
    path = tmp_path / "f.pth"
    data = torch_file({"w": tensor()})
    path.write_bytes(data)
    assert list(read_torch_file(str(path), hashlib.sha256(data).hexdigest())) == ["w"]
    with pytest.raises(ImgclusterError, match="SHA-256 differs"):
        read_torch_file(str(path), "0" * 64)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ImgclusterError, match=f"cannot read {tmp_path}"):
        read_torch_file(str(tmp_path), "0" * 64)
