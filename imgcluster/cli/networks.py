"""`imgcluster networks`."""

from __future__ import annotations

from dataclasses import asdict

from imgcluster.cli import console
from imgcluster.cli.options import Json

_AVAILABILITY = {
    "here": "here",
    "package": 'pip install "imgcluster[offline]"',
    "download": "fetched on first use",
}


def networks(*, json: Json = False) -> None:
    """List the networks, and whether their weights are here."""
    from imgcluster.cli.places import network_places
    from imgcluster.workflows.networks import list_networks

    listed = list_networks(network_places())
    if json:
        console.show_json({"networks": [asdict(network) for network in listed]})
        return
    rows = [
        (
            network.name,
            f"{network.input_size} px",
            str(network.dimension),
            f"{network.relative_speed:g}",
            _AVAILABILITY[network.weights],
        )
        for network in listed
    ]
    console.show_table(("network", "input", "dimension", "speed", "weights"), rows, numbers=(1, 2, 3))
