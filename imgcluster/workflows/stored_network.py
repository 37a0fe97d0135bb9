"""The network of a feature space that is in a store, loaded only where an image has to be embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.choice import NetworkChoice
from imgcluster.records import EmbeddingNetwork, FeatureSpace, Notify, Run
from imgcluster.workflows.choose_network import Choose


@dataclass(frozen=True)
class StoredNetwork:
    """A NetworkSource whose feature space is known; its network is sought where an image needs it.

    `weights`, `precision` and `runtime` are all that is left to choose. UsageError for a precision that never
    gives embeddings of the space.
    """

    space: FeatureSpace
    weights: str
    precision: str
    runtime: str
    choose: Choose
    notify: Notify

    def __post_init__(self) -> None:
        if self._is_quantised and self.precision not in {"auto", "int8"}:
            raise UsageError(
                f"{self.space.name} holds int8 embeddings: leave out --precision {self.precision}"
            )
        if not self._is_quantised and self.precision == "int8":
            raise UsageError(f"{self.space.name} holds no int8 embeddings: leave out --precision int8")

    @property
    def _is_quantised(self) -> bool:
        return self.space.quantisation != "none"

    def load(self) -> EmbeddingNetwork:
        """Choose the network, make sure that it is the one of the space, and load it.

        Raises
        ------
        ImgclusterError
            Where it cannot be had, or gives embeddings of another space.
        """
        chosen = self.choose(self._choice(), self.notify)
        if chosen.space != self.space:
            raise ImgclusterError(self._difference(chosen.space))
        return chosen.load()

    def _choice(self) -> NetworkChoice:
        return NetworkChoice(
            self.space.network,
            self.weights,
            self.space.pooling,
            self.space.input_size,
            "int8" if self._is_quantised else self.precision,
            self.runtime,
        )

    def _difference(self, other: FeatureSpace) -> str:
        if other.weights != self.space.weights:
            return (
                f"{self.space.name} was made with the weights {self.space.weights[:12]}… (SHA-256), and "
                f"--weights {self.weights} gives {other.weights[:12]}…: name the file it was made with"
            )
        if other.quantisation != self.space.quantisation:
            return (
                f"{self.space.name} was made with another int8 model than this machine makes: "
                "extract all images and cluster again"
            )
        return f"{self.space.name} was made by another imgcluster: extract all images and cluster again"


def weights_of(space: FeatureSpace, runs: Sequence[Run]) -> str:
    """Give what was chosen as weights when embeddings were last added to a feature space."""
    origins = [run.details["weights"] for run in runs if run.space == space.name and "weights" in run.details]
    return origins[-1] if origins else "imagenet"
