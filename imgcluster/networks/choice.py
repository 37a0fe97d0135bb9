"""The options that decide about a network."""

from __future__ import annotations

from dataclasses import dataclass

from imgcluster.errors import UsageError
from imgcluster.networks.catalog import find_network

POOLINGS = ("avg", "max", "flatten")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
RUNTIMES = ("auto", "tensorflow", "openvino")
_INPUT_SIZES = range(32, 4097)
_BATCH_SIZES = range(1, 4097)


@dataclass(frozen=True)
class NetworkChoice:
    """The options that decide about a network. UsageError for what can never work."""

    network: str = "inception_v3"
    weights: str = "imagenet"
    pooling: str = "avg"
    input_size: int | None = None
    precision: str = "auto"
    runtime: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        network = find_network(self.network)
        _require_one_of("--pooling", self.pooling, POOLINGS)
        _require_one_of("--precision", self.precision, PRECISIONS)
        _require_one_of("--runtime", self.runtime, RUNTIMES)
        _require_within("--input-size", self.input_size, _INPUT_SIZES)
        _require_within("--batch-size", self.batch_size, _BATCH_SIZES)
        if self.precision == "int8" and self.runtime == "tensorflow":
            raise UsageError("--precision int8 runs on OpenVINO: leave out --runtime tensorflow")
        if self.precision == "float16" and self.runtime == "openvino":
            raise UsageError("--precision float16 is for GPUs, on TensorFlow: leave out --runtime openvino")
        if network.framework == "onnx" and (self.runtime == "tensorflow" or self.precision == "float16"):
            raise UsageError(
                f"{network.name} is an ONNX network and runs on OpenVINO: leave out --runtime tensorflow "
                "and --precision float16"
            )


def _require_one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value} is unknown: it is one of {', '.join(allowed)}")


def _require_within(option: str, value: int | None, allowed: range) -> None:
    if value is not None and value not in allowed:
        raise UsageError(
            f"{option} {value} cannot be: it lies between {allowed.start} and {allowed.stop - 1}"
        )
