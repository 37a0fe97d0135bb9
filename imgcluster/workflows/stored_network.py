"""The network of a feature space that is in a store, loaded only where an image has to be embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.catalog import DEFAULT_NETWORK, is_known
from imgcluster.networks.choice import NetworkChoice
from imgcluster.records import EmbeddingNetwork, FeatureSpace, NetworkSource, Notify, Run, StoredSpace
from imgcluster.store.reader import FeatureReader
from imgcluster.workflows.choose_network import Choose
from imgcluster.workflows.options import AssignOptions, ExtractOptions


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
    batch_size: int | None = None

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

        ImgclusterError where it cannot be had, or gives embeddings of another space.
        """
        if not is_known(self.space.network):
            raise ImgclusterError(
                f"{self.space.name} was made by a network that imgcluster does not have: from Python, give "
                "it as source="
            )
        choice = NetworkChoice(
            self.space.network,
            self.weights,
            self.space.pooling,
            self.space.input_size,
            "int8" if self._is_quantised else self.precision,
            self.runtime,
            self.batch_size,
        )
        chosen = self.choose(choice, self.notify)
        if chosen.space.weights != self.space.weights:
            raise ImgclusterError(
                f"{self.space.name} was made with the weights {self.space.weights[:12]}… (SHA-256), and "
                f"--weights {self.weights} gives {chosen.space.weights[:12]}…: name the file it was made with"
            )
        if chosen.space != self.space:
            another = chosen.space.quantisation != self.space.quantisation
            by = "with another int8 model than this machine makes" if another else "by another imgcluster"
            raise ImgclusterError(f"{self.space.name} was made {by}: extract all images and cluster again")
        return chosen.load()


def source_of(
    options: ExtractOptions,
    spaces: Sequence[StoredSpace],
    runs: Sequence[Run],
    choose: Choose,
    notify: Notify,
) -> NetworkSource:
    """Give the network that options choose; where they name none, the only one in the store.

    Parameters
    ----------
    spaces, runs
        Those of the store; none where it does not exist yet.

    ImgclusterError where there are several and the default is not among them.
    """
    choice = NetworkChoice.of(options)
    spaces = [stored for stored in spaces if is_known(stored.space.network)]
    known = {stored.space.network for stored in spaces}
    if options.network is not None or not known or (len(known) > 1 and DEFAULT_NETWORK in known):
        return choose(choice, notify)
    if len(known) > 1:
        raise ImgclusterError(
            f"{options.store_path} has embeddings of {' and '.join(sorted(known))}: name one with --network"
        )
    (network,) = known
    if network != DEFAULT_NETWORK:
        notify(f"going on with {network}, the only network in {options.store_path}; --network names another")
    space = spaces[0].space
    made_with_int8 = {"auto": space.quantisation != "none", "int8": True}.get(options.precision, False)
    others = (options.weights, options.pooling, options.input_size) != (None, None, None)
    if len(spaces) > 1 or others or made_with_int8 != (space.quantisation != "none"):
        return choose(replace(choice, network=network), notify)
    weights = weights_of(space, runs)
    return StoredNetwork(
        space, weights, options.precision, options.runtime, choose, notify, options.batch_size
    )


def stored_networks(
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    choose: Choose,
    notify: Notify,
    options: AssignOptions | None = None,
) -> list[StoredNetwork]:
    """Give for each feature space of a store the network that made it; `options` may choose how it runs."""
    options, runs = options or AssignOptions(), store.runs()
    return [
        StoredNetwork(
            stored.space,
            options.weights or weights_of(stored.space, runs),
            options.precision,
            options.runtime,
            choose,
            notify,
        )
        for stored in spaces
    ]


def weights_of(space: FeatureSpace, runs: Sequence[Run]) -> str:
    """Give what was chosen as weights when embeddings were last added to a feature space."""
    origins = [run.details["weights"] for run in runs if run.space == space.name and "weights" in run.details]
    return origins[-1] if origins else "imagenet"
