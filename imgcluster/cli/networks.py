"""`imgcluster networks`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import install_command

_AVAILABILITY = {
    "here": "here",
    "package": install_command("offline"),
    "download": "fetched on first use",
    "file": "--weights FILE",
}


def networks(*, json: Json = False) -> None:
    """List the networks, and whether their weights are here."""
    from imgcluster.cli.places import network_places
    from imgcluster.workflows.networks import list_networks

    listed = list_networks(network_places())
    if json:
        console.show_json({"networks": listed})
        return
    rows = [
        (
            network.name,
            f"{network.input_size} px",
            str(network.dimension),
            "" if network.relative_speed is None else f"{network.relative_speed:g}",
            _AVAILABILITY[network.weights],
        )
        for network in listed
    ]
    console.show_table(("network", "input", "dimension", "speed", "weights"), rows, numbers=(1, 2, 3))
