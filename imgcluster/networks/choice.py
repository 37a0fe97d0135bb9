"""The options that decide about a network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from imgcluster.errors import UsageError
from imgcluster.networks.catalog import DEFAULT_NETWORK, find_network


@dataclass(frozen=True)
class NetworkChoice:
    """The options that decide about a network, each by itself checked before. UsageError for what cannot be.

    `weights` None stands for what is usual for the network, as `NetworkPlaces` says.
    """

    network: str = DEFAULT_NETWORK
    weights: str | None = None
    pooling: str = "avg"
    input_size: int | None = None
    precision: str = "auto"
    runtime: str = "auto"
    batch_size: int | None = None

    @classmethod
    def of(cls, options: object) -> Self:
        """Take what decides about a network from options that have more; None stands for the default."""
        given = {field.name: getattr(options, field.name) for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def __post_init__(self) -> None:
        network = find_network(self.network)
        if self.precision == "int8" and self.runtime == "tensorflow":
            raise UsageError("--precision int8 runs on OpenVINO: leave out --runtime tensorflow")
        if self.precision == "float16" and self.runtime == "openvino":
            raise UsageError("--precision float16 is for GPUs, on TensorFlow: leave out --runtime openvino")
        if network.framework == "python" and (self.runtime, self.precision, self.pooling) != (
            "auto",
            "auto",
            "avg",
        ):
            raise UsageError(
                f"{network.name} is a network of your own and computes as it does: leave out runtime, "
                "precision and pooling"
            )
        if network.framework == "onnx" and (self.runtime == "tensorflow" or self.precision == "float16"):
            raise UsageError(
                f"{network.name} is an ONNX network and runs on OpenVINO: leave out --runtime tensorflow "
                "and --precision float16"
            )
