import io

import pytest

from imgcluster.networks import processor
from imgcluster.networks.catalog import find_network
from imgcluster.networks.recipe import Recipe


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
    monkeypatch.setattr("builtins.open", lambda *_, **__: io.StringIO(lines))
    processor.has_native_bfloat16.cache_clear()
    recipe = Recipe(find_network("vgg16"), "weights.h5", 224, "avg")
    try:
        assert processor.has_native_bfloat16() is native
        assert recipe.precision_with(gpu=False) == ("bfloat16" if native else "float32")
        assert recipe.precision_with(gpu=True) == "float16"
    finally:
        processor.has_native_bfloat16.cache_clear()


def test_a_precision_that_was_asked_for_is_kept():
    recipe = Recipe(find_network("vgg16"), "weights.h5", 224, "avg", precision="float32")
    assert recipe.precision_with(gpu=True) == "float32"
