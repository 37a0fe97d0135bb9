"""What tells of the images themselves: `similar`, `duplicates`, `inventory`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Paths, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import DuplicatesOptions, InventoryOptions, SimilarOptions

if TYPE_CHECKING:
    from imgcluster.analysis.duplicates import DuplicateGroup


def similar(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", path_type=str, help="An image that was extracted.")
    ],
    *,
    options: SimilarOptions,
    run: Runner,
) -> Answers:
    """List the images most similar to one, by the cosine of their embeddings."""
    from imgcluster.workflows import similar as workflow

    found = run(workflow.similar, image, options)
    yield Answer({"image": os.path.abspath(image), "similar": found}, of=found)
    console.show_rows(found, cosine=".3f", path="")


def duplicates(paths: Paths = None, *, options: DuplicatesOptions, run: Runner) -> Answers:
    """Group images that are equal or look alike, and say which copy is the best."""
    if options.apply and options.trash:
        yield from _apply(options.apply, options.trash, run)
        return
    from imgcluster.workflows import duplicates as workflow
    from imgcluster.workflows.duplicates_report import report_duplicates

    result = run(workflow.duplicates, paths or (), options)
    page = run(report_duplicates, result, options.out) if options.report else None
    yield Answer(
        {
            "images": result.images,
            "groups": [_group(group) for group in result.groups],
            "look_alikes": [_group(group) for group in result.look_alikes],
            "report": page,
        },
        of=result,
    )
    could_go = sum(len(group.copies) for group in result.groups)
    console.say(
        f"{quantity(len(result.groups), 'group')} among {quantity(result.images, 'image')}; "
        f"{quantity(could_go, 'copy', 'copies')} could go"
    )
    for group in result.groups:
        console.say(f"  keep {group.keep.path}")
        for copy in group.copies:
            console.say(f"       {copy.file.path} ({copy.kind})")
    if result.look_alikes:
        alike = quantity(sum(len(group.copies) for group in result.look_alikes), "image")
        console.say(f"  look-alikes of other pixels: {alike}; --plan and --json list them")
    console.show_page(page)


def _apply(plan: str, trash: str, run: Runner) -> Answers:
    from imgcluster.workflows.apply_plan import apply_plan

    done = run(apply_plan, plan, trash)
    yield Answer({**vars(done), "left": console.failures_json(done.left)}, of=done)
    console.say(
        f"{quantity(done.moved, 'copy', 'copies')} of {quantity(done.groups, 'group')} moved to {trash}; "
        f"`imgcluster undo --clusters {shlex.quote(trash)}` brings all back"
    )
    if done.left:
        console.say(f"  {quantity(len(done.left), 'copy', 'copies')} stayed:")
        console.show_failures(done.left)


def _group(group: DuplicateGroup) -> dict[str, object]:
    copies = [
        {
            "path": copy.file.path,
            "key": copy.file.key.hex(),
            "kind": copy.kind,
            "cosine": copy.cosine,
            "difference": copy.difference,
        }
        for copy in group.copies
    ]
    could_go = [copy.file.path for copy in group.copies if copy.kind != "look-alike"]
    return {"keep": group.keep.path, "key": group.keep.key.hex(), "could_go": could_go, "copies": copies}


def inventory(paths: Paths = None, *, options: InventoryOptions, run: Runner) -> Answers:
    """List every file that was ever looked at: format, size, date, cluster, duplicates, reason of failure."""
    from imgcluster.workflows import inventory as workflow

    result = run(workflow.inventory, paths or (), options)
    counts = {"embedded": result.embedded, "failed": result.failed, "gone": result.gone}
    yield Answer({"files": len(result.files), **counts, "out": options.out}, of=result)
    counted = ", ".join(f"{count} {what}" for what, count in counts.items())
    written = f", written to {options.out}" if options.out else "; -o FILE writes the table"
    console.say(f"{quantity(len(result.files), 'file')}: {counted}{written}")
