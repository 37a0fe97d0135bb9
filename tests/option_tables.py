"""The page docs/options.md, made of what the commands themselves say.

usage: python -m tests.option_tables > docs/options.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from imgcluster.cli.app import app

HEAD = """# Options

Made from the commands by `python -m tests.option_tables > docs/options.md`; `--help` of a command says the
same. From Python they are keywords: `--input-size 299` is `input_size=299`, `--k auto` is `k="auto"`,
`--memory 2GB` is `memory="2GB"`. Giving an option its default changes nothing.

`imgcluster --install-completion` has bash, zsh and fish complete commands, options and their values.
"""


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its full name."""
    command = command or get_command(app)
    for subname, subcommand in getattr(command, "commands", {}).items():
        yield from commands(subcommand, f"{name} {subname}".strip())
    if not hasattr(command, "commands"):
        command.make_context(name, [], resilient_parsing=True)  # its options are made when they are needed
        yield name, command


def page() -> str:
    """The page."""
    return HEAD + "".join(f"\n## {name}\n{table(command)}" for name, command in commands())


def table(command: Any) -> str:
    """The arguments and options of one command."""
    lines = ["| option | values | default | |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(cells(parameter))} |" for parameter in command.params]
    return "\n".join((command.help, "", *lines, ""))


def cells(parameter: Any) -> tuple[str, str, str, str]:
    """Names, values, default and help of one parameter."""
    names = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]
    name = ", ".join(f"`{name}`" for name in names) or f"`{parameter.metavar}`"
    values = parameter.metavar.replace("|", ", ") if names and parameter.metavar else ""
    default = parameter.default
    if isinstance(parameter.show_default, str):
        default = parameter.show_default
    elif parameter.required:
        default = "required"
    elif default in (None, False, ""):
        default = ""
    return name, values, str(default), parameter.help


if __name__ == "__main__":
    print(page(), end="")
