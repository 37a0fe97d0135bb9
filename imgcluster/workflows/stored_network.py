"""The network of a feature space that is in a store, loaded only where an image has to be embedded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.selection import NetworkChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.records import EmbeddingNetwork, FeatureSpace, Notify, Run
    from imgcluster.workflows.choose_network import Choose

_UNQUANTISED = "none"


def network_for(space: FeatureSpace, weights: str, precision: str, runtime: str) -> NetworkChoice:
    """Choose the network of a feature space; weights, precision and runtime are all that is left to choose.

    Raises
    ------
    UsageError
        Where the precision cannot give embeddings of that space.
    """
    if space.quantisation != _UNQUANTISED:
        if precision not in {"auto", "int8"}:
            raise UsageError(f"{space.name} holds int8 embeddings: leave out --precision {precision}")
        precision = "int8"
    elif precision == "int8":
        raise UsageError(f"{space.name} holds no int8 embeddings: leave out --precision int8")
    return NetworkChoice(space.network, weights, space.pooling, space.input_size, precision, runtime)


@dataclass(frozen=True)
class StoredNetwork:
    """A NetworkSource whose feature space is known; its network is sought where one image needs it."""

    space: FeatureSpace
    choice: NetworkChoice
    choose: Choose
    notify: Notify

    def load(self) -> EmbeddingNetwork:
        """Choose the network, make sure that it is the one of the space, and load it.

        Raises
        ------
        ImgclusterError
            Where it cannot be had, or gives embeddings of another space.
        """
        chosen = self.choose(self.choice, self.notify)
        if chosen.space != self.space:
            raise ImgclusterError(self._difference(chosen.space))
        return chosen.load()

    def _difference(self, other: FeatureSpace) -> str:
        if other.weights != self.space.weights:
            return (
                f"{self.space.name} was made with the weights {self.space.weights[:12]}… (SHA-256), and "
                f"--weights {self.choice.weights} gives {other.weights[:12]}…: name the file it was made with"
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
