"""What it takes to build a network, as plain data that can be handed to another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgcluster.networks.processor import has_native_bfloat16

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcluster.networks.catalog import Network


@dataclass(frozen=True)
class Recipe:
    """A network, its weights (None: random), its input and pooling, and how to compute it.

    `origin` is what was chosen as its weights, for the record of the run.
    """

    network: Network
    weights: str | None
    input_size: int
    pooling: str
    precision: str = "auto"
    batch_size: int | None = None
    origin: str = ""

    def build(self) -> Any:
        """Build the Keras model; imports Keras."""
        from imgcluster.networks.model import build_model

        return build_model(self.network, self.weights, self.input_size, self.pooling)

    def precision_with(self, *, gpu: bool) -> str:
        """Return the precision to compute in, ``auto`` resolved for this processor or GPU.

        Random weights are not scaled for the narrow range of float16.
        """
        if self.precision != "auto":
            return self.precision
        if gpu:
            return "float32" if self.weights is None else "float16"
        return "bfloat16" if has_native_bfloat16() else "float32"

    def provenance(self, runtime: str, precision: str, device: str, **versions: str) -> Mapping[str, str]:
        """Describe a run for the store: what computed, in what precision, with whose weights."""
        computed = {"runtime": runtime, "precision": precision, "device": device, **versions}
        return {**computed, "weights": self.origin} if self.origin else computed
