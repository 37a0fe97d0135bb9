"""`imgcluster compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import CompareOptions

if TYPE_CHECKING:
    from imgcluster.workflows.compare import Comparison  # loads NumPy

_COLUMNS = (
    "network", "algorithm", "accuracy", "spread", "errors", "ARI", "NMI", "extraction", "clustering",
)  # fmt: skip
_MEASURES = ("network", "algorithm", "accuracy", "spread", "accuracies", "errors", "ari", "nmi")


def compare(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Labelled images.")],
    *,
    options: CompareOptions,
    run: Runner,
) -> Answers:
    """Compare networks and algorithms on images whose classes are known; by default the published table."""
    from imgcluster.workflows import compare as workflow

    result = run(workflow.compare, paths, options)
    rows = [
        measures
        | {
            "new": row.extraction.new,
            "extraction_seconds": row.extraction.seconds,
            "clustering_seconds": row.clustering_seconds,
        }
        for row, measures in zip(result.rows, console.chosen(result.rows, *_MEASURES), strict=True)
    ]
    head = {"images": result.images, "k": options.k, "seeds": options.seeds}
    yield Answer({**head, "rows": rows, "unavailable": result.unavailable})
    blanks = ("-",) * (len(_COLUMNS) - 2)
    cells = [_cells(row) for row in result.rows]
    cells += [(each.network, "left out", *blanks) for each in result.unavailable]
    console.show_table(_COLUMNS, cells, numbers=range(2, len(_COLUMNS)))
    for each in result.unavailable:
        console.say(f"{each.network}: {each.reason}")
    images, seeds = quantity(result.images, "image"), quantity(options.seeds, "seed")
    console.say(f"{images}, k = {options.k}; means over {seeds}, spread: highest less lowest")


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.network,
        row.algorithm,
        f"{row.accuracy:.4f}",
        f"{row.spread:.4f}",
        f"{row.errors:.1f}",
        f"{row.ari:.3f}",
        f"{row.nmi:.3f}",
        f"{row.extraction.seconds:.1f} s" if row.extraction.new else "in the store",
        f"{row.clustering_seconds:.2f} s",
    )
