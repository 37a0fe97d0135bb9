import io
import pickle
import signal
import subprocess
import sys

import pytest

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks import conversion, selection
from imgcluster.networks.catalog import find_network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Recipe, has_native_bfloat16
from imgcluster.networks.selection import choose
from imgcluster.networks.weights import Weights
from imgcluster.records import FeatureSpace


@pytest.mark.parametrize(
    "options",
    [
        {"network": "vgg17"},
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


def test_a_chosen_network_can_be_sent_to_another_process_whoever_is_notified_here():
    chosen = choose(NetworkChoice("efficientnet_lite0", weights="random"), lambda message: None)
    sent = pickle.loads(pickle.dumps(chosen))
    assert (sent.space, sent.recipe, sent.runtime) == (chosen.space, chosen.recipe, chosen.runtime)


def test_choosing_imports_no_heavy_library():
    code = (
        "import sys; from imgcluster.networks.choice import NetworkChoice; "
        "from imgcluster.networks.selection import choose; "
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
    with pytest.raises(ImgclusterError, match=rf"\.\[{extra}\]"):
        choose(NetworkChoice("vgg16", weights="random", **options), print)


def test_auto_takes_openvino_where_it_is_and_asks_where_there_is_a_gpu(monkeypatch):
    def runtime(**options):
        return choose(NetworkChoice("vgg16", weights="random", **options), print).runtime

    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: False)
    assert runtime() == "openvino"
    assert runtime(runtime="tensorflow") == "tensorflow"
    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: True)
    assert runtime() == "auto"
    assert runtime(precision="bfloat16") == "openvino"
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


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("fpu avx2 fma", False),
        ("fpu avx2 avx512f avx512_vnni", False),
        ("fpu avx512f avx512_bf16", True),
        ("fpu amx_bf16 amx_tile", True),
    ],
)
def test_bfloat16_is_native_where_the_processor_says_so(monkeypatch, flags, native):
    lines = f"processor\t: 0\nvmx flags\t: x\nflags\t\t: {flags}\nprocessor\t: 1\n"
    monkeypatch.setattr("imgcluster.networks.recipe.named", lambda _: io.BytesIO(lines.encode()))
    has_native_bfloat16.cache_clear()
    try:
        assert has_native_bfloat16() is native
        assert recipe().precision_with(gpu=False) == ("bfloat16" if native else "float32")
        assert recipe().precision_with(gpu=True) == "float16"
    finally:
        has_native_bfloat16.cache_clear()


def test_a_precision_that_was_asked_for_is_kept():
    assert recipe(precision="float32").precision_with(gpu=True) == "float32"


def recipe(**options):
    weights = Weights("weights.h5", "", "")
    return Recipe(NetworkChoice(**options), find_network("vgg16"), weights, FeatureSpace("vgg16", "", 224))


@pytest.mark.parametrize(
    ("number", "flags", "says"),
    [
        (signal.SIGILL, "sse avx", "lacks an instruction"),
        (signal.SIGILL, "sse sse2", "lacks AVX"),
        (signal.SIGABRT, "sse sse2", "lacks AVX"),
        (signal.SIGABRT, "sse avx", "a fault in TensorFlow or OpenVINO"),
        (signal.SIGSEGV, "", "a fault in TensorFlow or OpenVINO"),
        (signal.SIGKILL, "sse avx", "too little memory"),
    ],
)
def test_of_a_process_that_died_is_said_what_it_lacked(
    number: signal.Signals, flags: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcluster.networks.recipe._cpu_flags", lambda: frozenset(flags.split()))
    with pytest.raises(ImgclusterError, match=f"{number.name}.*{says}") as died:
        conversion._in_child(signal.raise_signal, number)
    assert ("memory" in str(died.value)) == (number == signal.SIGKILL)


def test_tensorflow_is_not_even_loaded_where_it_would_end_the_process(monkeypatch):
    runtime = pytest.importorskip("imgcluster.networks.tensorflow_runtime")
    monkeypatch.setattr("imgcluster.networks.recipe._cpu_flags", lambda: frozenset({"sse"}))
    with pytest.raises(ImgclusterError, match="lacks AVX"):
        runtime.finds_gpu()
