import subprocess
import sys

import pytest

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks import selection
from imgcluster.networks.selection import NetworkChoice, choose


@pytest.mark.parametrize(
    "options",
    [
        {"network": "vgg17"},
        {"pooling": "median"},
        {"precision": "float8"},
        {"runtime": "onnx"},
        {"input_size": 31},
        {"input_size": 4097},
        {"batch_size": 0},
        {"precision": "int8", "runtime": "tensorflow"},
        {"precision": "float16", "runtime": "openvino"},
    ],
)
def test_values_that_can_never_work_are_wrong_usage(options):
    with pytest.raises(UsageError) as caught:
        NetworkChoice(**options)
    assert "\n" not in str(caught.value)


def test_the_space_tells_apart_what_changes_a_vector():
    def name(**options):
        return choose(NetworkChoice("efficientnet_lite0", **options), print).space.name

    names = [
        name(),
        name(weights="random"),
        name(pooling="max"),
        name(pooling="flatten"),
        name(input_size=192),
    ]
    assert len(set(names)) == len(names)
    assert name(precision="float32", runtime="tensorflow", batch_size=3) == name()


def test_choosing_imports_no_heavy_library():
    code = (
        "import sys; from imgcluster.networks.selection import NetworkChoice, choose; "
        "choose(NetworkChoice('efficientnet_lite0'), print); "
        "print({'tensorflow', 'keras', 'openvino', 'nncf', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("options", "extra"),
    [({"runtime": "openvino"}, "openvino"), ({"precision": "int8"}, "int8")],
)
def test_a_missing_runtime_names_its_extra(monkeypatch, options, extra):
    monkeypatch.setattr(selection.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImgclusterError, match=rf"imgcluster\[{extra}\]"):
        choose(NetworkChoice("vgg16", weights="random", **options), print)


def test_auto_takes_openvino_where_it_is_and_no_gpu(monkeypatch):
    def runtime(**options):
        return choose(NetworkChoice("vgg16", weights="random", **options), print).runtime

    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: False)
    assert runtime() == "openvino"
    assert runtime(runtime="tensorflow") == "tensorflow"
    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: True)
    assert runtime() == "tensorflow"
    assert runtime(runtime="openvino") == "openvino"
    assert runtime(precision="float16") == "tensorflow"
    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(selection.importlib.util, "find_spec", lambda _: None)
    assert runtime() == "tensorflow"


def test_float16_without_a_gpu_says_so(monkeypatch):
    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: False)
    with pytest.raises(ImgclusterError, match="float16 needs a GPU"):
        choose(NetworkChoice("vgg16", weights="random", precision="float16"), print)


def test_int8_without_images_to_calibrate_on_says_so():
    with pytest.raises(ImgclusterError, match="calibrate"):
        choose(NetworkChoice("vgg16", weights="random", precision="int8"), print)
