"""`imgcluster diff`."""

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity


def diff(
    first: Annotated[str, typer.Argument(metavar="CLUSTERS-A", help="A folder that `cluster` made.")],
    second: Annotated[str, typer.Argument(metavar="CLUSTERS-B", help="Another one.")],
    *,
    run: Runner,
) -> Answers:
    """Show which clusters stayed, split and merged from one clustering to another, and which images moved."""
    from imgcluster.workflows import diff as workflow

    result = run(workflow.diff, first, second)
    moved = console.chosen(result.moved, "path", "before", "after", "silhouette")
    yield Answer({**vars(result), "moved": moved})
    rows = [
        (
            f"{each.number} {each.name}".rstrip(),
            each.verdict,
            ", ".join(f"{share.share:.0%} in {share.number}" for share in each.shares[:5]),
        )
        for each in result.clusters
    ]
    console.show_table(("cluster", "", "where its images are"), rows)
    console.say(f"{quantity(len(moved), 'image')} moved, the least sure first")
    if moved:
        places = [(str(each.before), str(each.after), each.path) for each in result.moved]
        console.show_table((f"in {first}", f"in {second}", "path"), places, numbers=(0, 1))
    for count, folder in ((result.only_in_first, first), (result.only_in_second, second)):
        if count:
            console.say(f"{quantity(count, 'image')} only in {folder}")
