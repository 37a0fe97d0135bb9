"""The catalogue as a user sees it: what each network costs, and whether it can be used here."""

from __future__ import annotations

from dataclasses import dataclass

from imgcluster.networks.catalog import NETWORKS
from imgcluster.networks.weights import availability


@dataclass(frozen=True)
class ListedNetwork:
    """One network; `weights` is ``here``, ``package`` (installable) or ``download``."""

    name: str
    input_size: int
    dimension: int
    relative_speed: float
    weights: str


def list_networks() -> tuple[ListedNetwork, ...]:
    """List the catalogue in its order."""
    return tuple(
        ListedNetwork(
            network.name,
            network.input_size,
            network.dimension,
            network.relative_speed,
            availability(network),
        )
        for network in NETWORKS
    )
