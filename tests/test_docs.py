"""What the pages promise about the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from typer.main import get_command

from imgcluster.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def options(command: object = None, name: str = "") -> Iterator[tuple[str, str]]:
    """Each option of each command, by its first name."""
    command = command or get_command(app)
    for subname, subcommand in getattr(command, "commands", {}).items():
        yield from options(subcommand, f"{name} {subname}".strip())
    for parameter in command.params:  # type: ignore[attr-defined]
        long = [option for option in parameter.opts if option.startswith("--")]
        if long and name and long[0] != "--help":
            yield name, long[0]


def test_every_option_is_on_a_page() -> None:
    named = set(re.findall(r"--[a-z][a-z-]*", "".join(page.read_text(encoding="utf-8") for page in PAGES)))
    assert [f"{command} {option}" for command, option in options() if option not in named] == []


def test_every_option_in_a_table_exists() -> None:
    there = {option for _, option in options()}
    for page in PAGES:
        for cell in re.findall(r"^\| (`--.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert set(re.findall(r"--[a-z][a-z-]*", cell)) <= there, page
