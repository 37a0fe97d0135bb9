"""`imgcluster sweep`."""

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Paths, Runner
from imgcluster.workflows.options import SweepOptions


def sweep(paths: Paths = None, *, options: SweepOptions, run: Runner) -> Answers:
    """Try a range of cluster numbers and suggest one."""
    from imgcluster.workflows import sweep as workflow
    from imgcluster.workflows.sweep_report import report_sweep

    result = run(workflow.sweep, paths or (), options)
    page = run(report_sweep, result, options, paths or ()) if options.report else None
    answer = {"images": result.images, **vars(result.sweep), "report": page}
    del answer["labels"]
    yield Answer(answer)
    console.show_rows(result.sweep.rows, k="", inertia=".1f", silhouette=".3f", stability=".3f")
    alone = result.sweep.doubtful or len(result.sweep.rows) == 1
    suggestion = "" if alone else f"suggestion: k = {result.sweep.suggestion}: "
    console.say(f"{suggestion}{result.sweep.reason}")
    console.show_page(page)
