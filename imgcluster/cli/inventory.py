"""`imgcluster inventory`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json, Paths
from imgcluster.errors import quantity
from imgcluster.workflows.options import InventoryOptions


def inventory(paths: Paths = None, *, options: InventoryOptions, json: Json = False) -> None:
    """List every file that was ever looked at: format, size, date, cluster, duplicates, reason of failure."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import inventory as workflow

    with console.progress() as progress:
        result = workflow.inventory(paths or (), options, owner=ownership(), progress=progress)
    counts = {"embedded": result.embedded, "failed": result.failed, "gone": result.gone}
    if json:
        console.show_json({"files": len(result.files), **counts, "out": options.out})
        return
    counted = ", ".join(f"{count} {what}" for what, count in counts.items())
    written = f", written to {options.out}" if options.out else "; -o FILE writes the table"
    console.say(f"{quantity(len(result.files), 'file')}: {counted}{written}")
