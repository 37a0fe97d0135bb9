"""`imgcluster correct`."""

from __future__ import annotations

import shlex

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import CorrectOptions


def correct(*, options: CorrectOptions, json: Json = False) -> None:
    """Keep what was moved between cluster folders by hand as a file for `cluster --edits`."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import correct as workflow

    with console.progress() as progress:
        done = workflow.correct(options, owner=ownership(), progress=progress)
    if json:
        console.show_json(done)
        return
    names = f", {quantity(len(done.names), 'name')}" if done.names else ""
    console.say(f"{done.file}: {quantity(done.images, 'image')} moved by hand{names}")
    console.say(f"now: imgcluster cluster --edits {shlex.quote(done.file)}")
