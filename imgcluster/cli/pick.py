"""`imgcluster pick`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import PickOptions


def pick(*, options: PickOptions, run: Runner) -> Answers:
    """Choose a few images that stand for a clustering, as a list or a folder of links or copies."""
    from imgcluster.workflows import pick as workflow

    picked = run(workflow.pick, options).images
    images = console.chosen(picked, "path", "key", "cluster", "name")
    yield Answer({"images": images, "how": options.how, "out": options.out})
    if options.out is not None:
        console.say(f"{quantity(len(picked), 'image')} in {options.out}")
    else:
        for each in picked:
            console.say(each.path)
