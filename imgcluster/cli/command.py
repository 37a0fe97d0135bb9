"""What every command has: its options from a class of them, --json, --quiet and --log, and progress."""

import functools
import gc
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, get_origin

import typer

from imgcluster.cli import console
from imgcluster.cli.places import Runner
from imgcluster.options import Option, Options, flag, option, show_parameters, spread

__all__ = ["Answer", "Answers", "Paths", "Runner", "as_command"]

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS", help="Only the images below.", show_default="all images"),
]


class _OfAll(Options):
    """The options that every command has."""

    json: bool = flag("Print one JSON object and nothing else on stdout.")
    quiet: bool = flag("Show errors only, and what --json prints.")
    log: str | None = option("Append all that is said, with the time.", metavar="FILE")


@dataclass(frozen=True)
class Answer:
    """What ``--json`` prints, the exit status, and what it is `of`: the result, where that is not printed."""

    json: object
    status: int = 0
    of: Any = None


Answers = Iterator[Answer]
"""What a command is: it works, yields its one answer, and then shows the same to a person."""


def is_typed(parameter: inspect.Parameter) -> bool:
    """Whether people type it: it says how, to typer; all others come from Python alone."""
    return get_origin(parameter.annotation) is Annotated


class _Run(Runner):
    """Runs workflows in a process that does nothing else."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        """Let the collector, which `main` put off, look for garbage from now on; what is loaded is none."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        return super().__call__(*arguments, **more)


def working(function: Callable[..., Answers]) -> Callable[..., tuple[Answer, Answers]]:
    """Make of a command a function that works, and gives the answer and what is left: to show it."""

    @functools.wraps(function)
    def work(*arguments: Any, **given: Any) -> tuple[Answer, Answers]:
        steps = function(*arguments, **given)
        return next(steps), steps

    return work


def as_command(function: Callable[..., Answers]) -> Callable[..., None]:
    """Make a command for typer of a function with the parameters `run` and, mostly, `options`, their class.

    In their place come one parameter for each option, and those that every command has.
    """
    work = working(function)
    has_options = "options" in inspect.signature(function).parameters
    command = spread(work, _parameter) if has_options else work

    @functools.wraps(function)
    def main(*, json: bool = False, quiet: bool = False, log: str | None = None, **given: Any) -> None:
        from imgcluster.cli.progress import progress as shown_progress

        console.speak(quiet=quiet, log=log)
        with shown_progress() as progress:
            answer, steps = command(run=_Run(progress), **given)
        if json:
            console.show_json(answer.json)
        else:
            next(steps, None)
        if answer.status:
            raise typer.Exit(answer.status)

    parameters = inspect.signature(command, eval_str=True).parameters.values()
    own = [each for each in parameters if is_typed(each)]
    show_parameters(main, [*own, *map(_parameter, _OfAll.declared)])
    return main


def _parameter(each: Option) -> inspect.Parameter:
    flag, default = each.kind is bool, each.fixed_default
    if default is MISSING:
        default = inspect.Parameter.empty
    elif each.unset or default == ():
        default = None
    elif not flag and default is not None:
        default = ",".join(default) if each.many else str(default)  # all is checked by one who reads texts
    information = typer.Option(
        *filter(None, [each.flag, each.short]),
        help=each.help,
        show_default=each.unset or True,
        metavar=None if flag else each.value_name,
        autocompletion=(lambda: list(each.choices)) if each.choices else None,
    )
    of_type: Any = bool if flag else list[str] if each.repeated else str
    optional: Any = of_type if flag or default is inspect.Parameter.empty else of_type | None
    only, annotation = inspect.Parameter.KEYWORD_ONLY, Annotated[optional, information]
    return inspect.Parameter(each.name, only, default=default, annotation=annotation)
