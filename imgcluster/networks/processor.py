"""What this machine can compute, learnt without importing a library."""

from __future__ import annotations

import os
from functools import cache

_NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@cache
def has_native_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX-512 BF16 or AMX)."""
    return bool(_NATIVE_BFLOAT16 & _cpu_flags())


def has_nvidia_gpu() -> bool:
    """Whether there is an NVIDIA GPU with its driver."""
    return os.path.exists("/dev/nvidia0")


def _cpu_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith("flags")]
    except OSError:  # not Linux: nothing is known, float32 is always right
        return frozenset()
    return frozenset(lines[0].split(":", 1)[-1].split()) if lines else frozenset()
