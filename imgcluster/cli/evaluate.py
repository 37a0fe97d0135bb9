"""`imgcluster evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json

if TYPE_CHECKING:
    from imgcluster.analysis.scoring import Evaluation
    from imgcluster.records import JsonObject


def evaluate(
    *,
    labels: Annotated[
        str, typer.Option(help="`folders`, or a CSV file with the columns path,label.")
    ] = "folders",
    clusters: Clusters = DEFAULT_CLUSTERS,
    json: Json = False,
) -> None:
    """Compare the clusters with classes that a person made."""
    from imgcluster.workflows import evaluate as workflow

    evaluation = workflow.evaluate(labels, clusters=clusters)
    if json:
        console.show_json(as_json(evaluation))
    else:
        _show(evaluation)


def as_json(evaluation: Evaluation) -> JsonObject:
    """Make the JSON object of an evaluation."""
    return {
        "images": evaluation.images,
        "accuracy": evaluation.accuracy,
        "errors": evaluation.errors,
        "ari": evaluation.ari,
        "nmi": evaluation.nmi,
        "purity": evaluation.purity,
        "labels": list(evaluation.labels),
        "confusion": [[int(count) for count in row] for row in evaluation.confusion],
    }


def _show(evaluation: Evaluation) -> None:
    console.say(
        f"accuracy {evaluation.accuracy:.2f} ({evaluation.errors} errors in {evaluation.images} images), "
        f"ARI {evaluation.ari:.3f}, NMI {evaluation.nmi:.3f}, purity {evaluation.purity:.3f}"
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
                mistakes.append((count, label, _cluster_of(owner, cluster)))
    mistakes.sort(key=lambda mistake: (-mistake[0], mistake[1], mistake[2]))
    return [f"{count} {label} went to {where}" for count, label, where in mistakes]


def _cluster_of(owner: str | None, cluster: int) -> str:
    if owner is None:
        return f"cluster {cluster}, which stands for no class"
    return f"the {owner}' cluster" if owner.endswith("s") else f"the {owner}'s cluster"
