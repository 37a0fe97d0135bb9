"""Post-training quantisation to int8 with NNCF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nncf
import numpy as np
import openvino
from nncf.quantization.range_estimator import RangeEstimatorParametersSet

if TYPE_CHECKING:
    from collections.abc import Collection

_CONVOLUTION, _DEPTHWISE = "Convolution", "GroupConvolution"


def quantise(model: str, images: str, path: str, sensitive: Collection[int]) -> None:
    """Quantise the OpenVINO model at `model` to `path`.

    Depthwise convolutions keep computing in float32: they have one filter for each channel, and channels
    differ in their ranges. Ranges go from the smallest to the largest value that was seen, and biases are not
    corrected, which would fit them to the few images. Measured in docs/networks.md.

    Parameters
    ----------
    images
        A NumPy file of (n, S, S, 3) uint8 RGB images, to calibrate on.
    sensitive
        Numbers of further convolutions that stay in float32.
    """
    samples = np.load(images, allow_pickle=False)
    graph = openvino.Core().read_model(model)
    nodes = graph.get_ordered_ops()
    convolutions = [node for node in nodes if node.get_type_name() == _CONVOLUTION]
    kept = [convolutions[number] for number in sensitive]
    kept += [node for node in nodes if node.get_type_name() == _DEPTHWISE]
    quantised = nncf.quantize(
        graph,
        nncf.Dataset([sample[np.newaxis] for sample in samples]),
        subset_size=len(samples),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=[node.get_friendly_name() for node in kept]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True,
        ),
    )
    openvino.save_model(quantised, path, compress_to_fp16=False)
