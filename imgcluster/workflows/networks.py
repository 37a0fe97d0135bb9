"""The table of networks as a user sees it: what each network costs, and whether it can be used here."""

from __future__ import annotations

from dataclasses import dataclass

from imgcluster.networks.catalog import networks
from imgcluster.networks.weights import NetworkPlaces, availability


@dataclass(frozen=True)
class ListedNetwork:
    """One network; `weights` is ``here``, ``package`` (to install), ``download`` or ``file`` (to name)."""

    name: str
    input_size: int
    dimension: int
    relative_speed: float | None
    weights: str


def list_networks(places: NetworkPlaces) -> tuple[ListedNetwork, ...]:
    """List the table in its order; `places` says where weights may be already."""
    return tuple(
        ListedNetwork(
            network.name,
            network.input_size,
            network.dimension,
            network.relative_speed,
            availability(network, places),
        )
        for network in networks()
    )
