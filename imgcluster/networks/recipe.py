"""All that decides how a network computes, as plain data that can be handed to another process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from imgcluster.files import named
from imgcluster.networks.catalog import Network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.weights import Weights
from imgcluster.records import FeatureSpace, Pixels

_NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True)
class Recipe:
    """What was chosen, and what came of it: the network's record, its weights and its feature space."""

    choice: NetworkChoice
    network: Network
    weights: Weights
    space: FeatureSpace

    def precision_with(self, *, gpu: bool) -> str:
        """Return the precision to compute in, ``auto`` resolved for this processor or GPU."""
        if self.choice.precision != "auto":
            return self.choice.precision
        if gpu:  # random weights are not scaled for the narrow range of float16
            return "float32" if self.weights.path is None else "float16"
        return "bfloat16" if has_native_bfloat16() else "float32"

    def provenance(self, runtime: str, precision: str, device: str, **versions: str) -> Mapping[str, str]:
        """Describe a run for the store: what computed, in what precision, with whose weights."""
        computed = {"runtime": runtime, "precision": precision, "device": device, **versions}
        return {**computed, "weights": self.weights.origin}


@dataclass(frozen=True)
class Calibration:
    """Images that show a quantisation what values to expect.

    `images` takes a feature space, whose input they are to be: (n, S, S, 3) uint8 RGB batches; `name` changes
    whenever they do.
    """

    name: str
    images: Callable[[FeatureSpace], Iterable[Pixels]]


@cache
def has_native_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX-512 BF16 or AMX)."""
    return bool(_NATIVE_BFLOAT16 & _cpu_flags())


NO_AVX = "this processor lacks AVX, which TensorFlow is built for: take a machine that has it"


def lacks_avx() -> bool:
    """Whether the processor is known to have no AVX."""
    flags = _cpu_flags()
    return bool(flags) and "sse" in flags and "avx" not in flags


def has_nvidia_gpu() -> bool:
    """Whether there is an NVIDIA GPU with its driver; whether it can be used, TensorFlow knows."""
    return os.path.exists("/dev/nvidia0")


def _cpu_flags() -> frozenset[str]:
    try:
        with named("/proc/cpuinfo") as file:
            lines = [line.decode(errors="replace") for line in file if line.startswith(b"flags")]
    except OSError:  # not Linux: nothing is known, float32 is always right
        return frozenset()
    return frozenset(lines[0].split(":", 1)[-1].split()) if lines else frozenset()
