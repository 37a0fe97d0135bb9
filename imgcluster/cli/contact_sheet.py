"""`imgcluster contact-sheet`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import ContactSheetOptions


def contact_sheet(*, options: ContactSheetOptions, run: Runner) -> Answers:
    """Draw one cluster as one picture."""
    from imgcluster.workflows.contact_sheet import make_contact_sheet

    images = run(make_contact_sheet, **vars(options))
    cluster = int(options.cluster) if options.cluster.isdecimal() else options.cluster
    yield Answer({"out": options.out, "cluster": cluster, "images": images})
    console.say(f"{quantity(images, 'image')} of cluster {options.cluster} drawn in {options.out}")
