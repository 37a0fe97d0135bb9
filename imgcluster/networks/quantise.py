"""Post-training quantisation to int8 with NNCF."""

from __future__ import annotations

import nncf
import numpy as np
import openvino


def quantise(model: str, images: str, path: str) -> None:
    """Quantise the OpenVINO model at `model` to `path`.

    `images` names a NumPy file of (n, S, S, 3) uint8 RGB images, to calibrate on.
    """
    samples = np.load(images, allow_pickle=False)
    dataset = nncf.Dataset([sample[np.newaxis] for sample in samples])
    quantised = nncf.quantize(
        openvino.Core().read_model(model),
        dataset,
        subset_size=len(samples),
        preset=nncf.QuantizationPreset.MIXED,
    )
    openvino.save_model(quantised, path, compress_to_fp16=False)
