"""`imgcluster correct`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import CorrectOptions


def correct(*, options: CorrectOptions, run: Runner) -> Answers:
    """Keep what was moved between cluster folders by hand as a file for `cluster --edits`."""
    from imgcluster.workflows import correct as workflow

    done = run(workflow.correct, options)
    yield Answer(done)
    names = f", {quantity(len(done.names), 'name')}" if done.names else ""
    console.say(f"{done.file}: {quantity(done.images, 'image')} moved by hand{names}")
    if done.earlier:
        console.say(f"  it spoke of {quantity(done.earlier, 'image')} before: that stays")
    console.say(f"now: {done.command}")
