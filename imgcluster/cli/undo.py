"""`imgcluster undo`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.cli.report import report_again
from imgcluster.errors import quantity
from imgcluster.workflows.options import UndoOptions


def undo(*, options: UndoOptions, run: Runner) -> Answers:
    """Go one step back to the clustering before; where there was none, take the clusters away."""
    from imgcluster.workflows import undo as workflow

    done = run(workflow.undo, **vars(options))
    again = done.clusters is not None and done.had_report
    page = report_again(run, options.clusters) if again else None
    answer = {name: value for name, value in vars(done).items() if name not in {"had_report", "mode"}}
    yield Answer({**answer, "report": page})
    if done.clusters is not None:
        would = "would go" if options.dry_run else "went"
        more = f"{quantity(done.steps, 'more step')} back" if done.steps else "the next undo takes all away"
        console.say(
            f"{options.clusters}: {would} one step back, to {quantity(len(done.clusters), 'cluster')}; {more}"
        )
        if done.returned:
            console.say(f"  {quantity(done.returned, 'image')} moved back")
        console.show_clusters(options.clusters, done.clusters, done.mode)
        console.show_page(page)
        return
    removed, returned = quantity(done.removed, "file"), quantity(done.returned, "image")
    would = "would be " if options.dry_run else ""
    console.say(f"{options.clusters}: {removed} {would}removed, {returned} {would}moved back")
    if done.companions:
        console.say(f"  {quantity(done.companions, 'companion')} {would}moved back with them")
    if done.missing:
        lost = quantity(done.missing, "moved image")
        console.say(f"  {lost} not found: put back into {options.clusters}, the next undo brings them home")
    for path in done.left:
        console.say(f"  left alone: {path}")
