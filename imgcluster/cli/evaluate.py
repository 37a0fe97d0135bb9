"""`imgcluster evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import EvaluateOptions

if TYPE_CHECKING:
    from imgcluster.analysis.scoring import Evaluation  # loads NumPy


def evaluate(*, options: EvaluateOptions, json: Json = False) -> None:
    """Compare the clusters with classes that a person made."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import evaluate as workflow

    with console.progress() as progress:
        evaluation = workflow.evaluate(**vars(options), owner=ownership(), progress=progress)
    if json:
        measures = ("images", "accuracy", "errors", "ari", "nmi", "purity", "labels")
        confusion = [[int(count) for count in row] for row in evaluation.confusion]
        console.show_json({**{name: getattr(evaluation, name) for name in measures}, "confusion": confusion})
        return
    console.say(
        f"accuracy {evaluation.accuracy:.2f} ({quantity(evaluation.errors, 'error')} in "
        f"{quantity(evaluation.images, 'image')}), ARI {evaluation.ari:.3f}, NMI {evaluation.nmi:.3f}, "
        f"purity {evaluation.purity:.3f}"
    )
    for sentence in _confusions(evaluation):
        console.say(f"  {sentence}")


def _confusions(evaluation: Evaluation) -> list[str]:
    """Put the mistakes into words, the most frequent first."""
    owners = dict(zip(evaluation.matched, evaluation.labels, strict=True))
    mistakes = []
    for row, label in enumerate(evaluation.labels):
        for column, cluster in enumerate(evaluation.columns):
            count, owner = int(evaluation.confusion[row][column]), owners.get(cluster)
            if count and owner != label:
                mistakes.append((-count, label, f"cluster {cluster} ({owner or 'no class'})"))
    return [f"{-count} × {label} in {where}" for count, label, where in sorted(mistakes)]
