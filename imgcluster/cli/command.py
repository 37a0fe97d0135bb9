"""What every command has: its options from a dataclass, --json, --quiet and --log, and progress."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Annotated, Any

import typer

from imgcluster.cli import console
from imgcluster.cli.places import Runner
from imgcluster.options import Declared, spread

__all__ = ["Answer", "Answers", "Paths", "Runner", "as_command"]

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS", help="Only the images below.", show_default="all images"),
]
_FOR_ALL: dict[str, tuple[Any, object]] = {
    "json": (
        Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")],
        False,
    ),
    "quiet": (
        Annotated[bool, typer.Option("--quiet", help="Show errors only, and what --json prints.")],
        False,
    ),
    "log": (
        Annotated[
            str | None,
            typer.Option("--log", metavar="FILE", help="Append all that is said, with the time."),
        ],
        None,
    ),
}


@dataclass(frozen=True)
class Answer:
    """What ``--json`` prints, and the exit status."""

    json: object
    status: int = 0


Answers = Iterator[Answer]
"""What a command is: it works, yields its one answer, and then shows the same to a person."""


def as_command(function: Callable[..., Answers]) -> Callable[..., None]:
    """Make a command for typer of a function with the parameters `run` and, mostly, `options`, a dataclass.

    In their place come one parameter for each option, and those that every command has.
    """
    has_options = "options" in inspect.signature(function).parameters
    command = spread(function, _parameter) if has_options else function

    @functools.wraps(command)
    def main(*, json: bool = False, quiet: bool = False, log: str | None = None, **given: Any) -> None:
        console.speak(quiet=quiet, log=log)
        with console.progress() as progress:
            steps = command(run=Runner(progress), **given)
            answer = next(steps)
        if json:
            console.show_json(answer.json)
        else:
            next(steps, None)
        if answer.status:
            raise typer.Exit(answer.status)

    signature = inspect.signature(command, eval_str=True)
    only = inspect.Parameter.KEYWORD_ONLY
    shown = [each for each in signature.parameters.values() if each.name != "run"]
    shown += [
        inspect.Parameter(name, only, default=default, annotation=kind)
        for name, (kind, default) in _FOR_ALL.items()
    ]
    main.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    main.__annotations__ = {each.name: each.annotation for each in shown}
    return main


def _parameter(each: Declared) -> inspect.Parameter:
    about, flag, default = each.option, each.kind is bool, each.default
    if default is MISSING:
        default = inspect.Parameter.empty
    elif about.unset or default == ():
        default = None
    elif not flag and default is not None:
        default = ",".join(default) if each.many else str(default)  # all is checked by one who reads texts
    information = typer.Option(
        *filter(None, [each.flag, about.short]),
        help=about.help,
        show_default=about.unset or True,
        metavar=None if flag else each.metavar,
        autocompletion=(lambda: list(about.choices)) if about.choices else None,
    )
    of_type: Any = bool if flag else list[str] if each.repeated else str
    optional: Any = of_type if flag or default is inspect.Parameter.empty else of_type | None
    only, annotation = inspect.Parameter.KEYWORD_ONLY, Annotated[optional, information]
    return inspect.Parameter(each.name, only, default=default, annotation=annotation)
