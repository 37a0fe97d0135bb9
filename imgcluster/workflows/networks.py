"""The catalogue as a user sees it: what each network costs, and whether it can be used here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.networks.catalog import NETWORKS
from imgcluster.networks.weights import availability

if TYPE_CHECKING:
    from imgcluster.networks.places import NetworkPlaces


@dataclass(frozen=True)
class ListedNetwork:
    """One network; `weights` is ``here``, ``package`` (installable) or ``download``."""

    name: str
    input_size: int
    dimension: int
    relative_speed: float
    weights: str


def list_networks(places: NetworkPlaces) -> tuple[ListedNetwork, ...]:
    """List the catalogue in its order; `places` says where weights may be already."""
    return tuple(
        ListedNetwork(
            network.name,
            network.input_size,
            network.dimension,
            network.relative_speed,
            availability(network, places),
        )
        for network in NETWORKS
    )
