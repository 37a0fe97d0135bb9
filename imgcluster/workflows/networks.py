"""The table of networks as a user sees it: what each network costs, and whether it can be used here."""

from __future__ import annotations

from dataclasses import dataclass

from imgcluster.networks.catalog import networks
from imgcluster.networks.weights import NetworkPlaces, availability
from imgcluster.tabular import Tabular


@dataclass(frozen=True)
class ListedNetwork:
    """One network; `weights` is ``here``, ``package`` (to install), ``download`` or ``file`` (to name)."""

    name: str
    input_size: int
    dimension: int
    relative_speed: float | None
    weights: str


class ListedNetworks(tuple[ListedNetwork, ...], Tabular, of=ListedNetwork):
    """The networks, in the order of the table."""

    __slots__ = ()


def list_networks(places: NetworkPlaces) -> ListedNetworks:
    """List the table in its order; `places` says where weights may be already."""
    return ListedNetworks(
        ListedNetwork(
            network.name,
            network.input_size,
            network.dimension,
            network.relative_speed,
            availability(network, places),
        )
        for network in networks()
    )
