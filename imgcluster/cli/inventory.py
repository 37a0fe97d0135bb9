"""`imgcluster inventory`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Paths, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import InventoryOptions


def inventory(paths: Paths = None, *, options: InventoryOptions, run: Runner) -> Answers:
    """List every file that was ever looked at: format, size, date, cluster, duplicates, reason of failure."""
    from imgcluster.workflows import inventory as workflow

    result = run(workflow.inventory, paths or (), options)
    counts = {"embedded": result.embedded, "failed": result.failed, "gone": result.gone}
    yield Answer({"files": len(result.files), **counts, "out": options.out})
    counted = ", ".join(f"{count} {what}" for what, count in counts.items())
    written = f", written to {options.out}" if options.out else "; -o FILE writes the table"
    console.say(f"{quantity(len(result.files), 'file')}: {counted}{written}")
