"""`imgcluster networks`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import install_command

_AVAILABILITY = {
    "here": "here",
    "package": install_command("offline"),
    "download": "fetched on first use",
    "file": "--weights FILE",
}


def networks(*, run: Runner) -> Answers:
    """List the networks, and whether their weights are here."""
    from imgcluster.workflows.networks import list_networks

    listed = run(list_networks)
    yield Answer({"networks": listed})
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
