"""From a dataclass of options to the parameters of a typer command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING
from typing import Annotated, Any

import typer

from imgcluster.cli import console
from imgcluster.options import Declared, spread

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors only, and what --json prints.")]
Log = Annotated[
    str | None, typer.Option("--log", metavar="FILE", help="Append all that is said, with the time.")
]
Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS", help="Only the images below.", show_default="all images"),
]


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Have typer see, in place of the parameter `options`, one parameter for each field of its dataclass.

    To that comes what every command has.
    """
    own = inspect.signature(function, eval_str=True)
    command = spread(function, _parameter) if "options" in own.parameters else function

    @functools.wraps(command)
    def run(*arguments: Any, quiet: bool = False, log: str | None = None, **given: Any) -> None:
        console.speak(quiet=quiet, log=log)
        command(*arguments, **given)

    signature = inspect.signature(command, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, default, annotation in (("quiet", False, Quiet), ("log", None, Log))
    ]
    shown = [*signature.parameters.values(), *more]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    return run


def _parameter(each: Declared) -> inspect.Parameter:
    about, flag, default = each.option, each.kind is bool, each.default
    names = [each.flag, *filter(None, [about.short])]
    if default is MISSING:
        default = inspect.Parameter.empty
    elif about.unset or default == ():
        default = None
    elif not flag and default is not None:
        default = ",".join(default) if each.many else str(default)  # all is checked by one who reads texts
    information = typer.Option(
        *names,
        help=about.help,
        show_default=about.unset or True,
        metavar=None if flag else each.metavar,
        autocompletion=(lambda: list(about.choices)) if about.choices else None,
    )
    of_type: Any = bool if flag else list[str] if each.repeated else str
    optional: Any = of_type if flag or default is inspect.Parameter.empty else of_type | None
    only, annotation = inspect.Parameter.KEYWORD_ONLY, Annotated[optional, information]
    return inspect.Parameter(each.name, only, default=default, annotation=annotation)
