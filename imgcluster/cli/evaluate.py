"""`imgcluster evaluate`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import EvaluateOptions

_MEASURES = ("images", "accuracy", "errors", "ari", "nmi", "purity", "labels")


def evaluate(*, options: EvaluateOptions, run: Runner) -> Answers:
    """Compare the clusters with classes that a person made."""
    from imgcluster.workflows import evaluate as workflow

    found = run(workflow.evaluate, **vars(options))
    (measures,) = console.chosen([found], *_MEASURES)
    yield Answer({**measures, "confusion": [[int(count) for count in row] for row in found.confusion]})
    console.say(
        f"accuracy {found.accuracy:.2f} ({quantity(found.errors, 'error')} in "
        f"{quantity(found.images, 'image')}), ARI {found.ari:.3f}, NMI {found.nmi:.3f}, "
        f"purity {found.purity:.3f}"
    )
    owners = dict(zip(found.matched, found.labels, strict=True))
    mistakes = []
    for row, label in enumerate(found.labels):
        for column, cluster in enumerate(found.columns):
            count, owner = int(found.confusion[row][column]), owners.get(cluster)
            if count and owner != label:
                mistakes.append((-count, label, f"cluster {cluster} ({owner or 'no class'})"))
    for count, label, where in sorted(mistakes):
        console.say(f"  {-count} × {label} in {where}")
