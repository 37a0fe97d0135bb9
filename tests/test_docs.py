"""What the pages promise about the command line."""

from __future__ import annotations

import re
from pathlib import Path

from option_tables import commands, page

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_page_of_options_says_what_the_commands_say() -> None:
    """`python -m tests.option_tables > docs/options.md` writes it."""
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == page()


def test_every_option_that_a_page_names_exists() -> None:
    parameters = [parameter for _, command in commands() for parameter in command.params]
    there = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    there |= {"--help", "--version", "--install-completion"}
    there |= {
        "--no-reference",
        "--only",
        "--rows",
        "--variants",
        "--draws",
        "--sizes",
        "--first-draw",
        "--images",
        "--cells",
        "--published",
    }  # of the benchmarks
    there |= {"--now", "--user"}  # of systemctl
    for path in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", path.read_text(encoding="utf-8")))
        assert named <= there, path
