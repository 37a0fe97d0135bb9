"""`imgcluster merge`."""

from typing import Annotated

import typer

from imgcluster.cli.command import Answers, Runner
from imgcluster.cli.name import tell_change
from imgcluster.workflows.options import NameOptions


def merge(
    clusters_to_merge: Annotated[
        list[str], typer.Argument(metavar="CLUSTER...", help="Numbers or names; the first takes the others.")
    ],
    *,
    options: NameOptions,
    run: Runner,
) -> Answers:
    """Make one cluster of several; their images stay together in later clusterings."""
    from imgcluster.workflows import merge as workflow

    yield from tell_change(run(workflow.merge, clusters_to_merge, options), options.clusters, run)
