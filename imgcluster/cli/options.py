"""From a dataclass of options to the parameters of a typer command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING
from typing import Annotated, Any

import typer

from imgcluster.options import Declared, spread

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS", help="Only the images below.", show_default="all images"),
]


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Have typer see, in place of the parameter `options`, one parameter for each field of its dataclass."""
    return spread(function, _parameter) if "options" in inspect.signature(function).parameters else function


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
