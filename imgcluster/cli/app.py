"""The typer app, and the one place where an error becomes a line of text."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from imgcluster.cli import console, interrupts
from imgcluster.cli import store as store_commands
from imgcluster.cli.assign import assign
from imgcluster.cli.cluster import cluster
from imgcluster.cli.compare import compare
from imgcluster.cli.contact_sheet import contact_sheet
from imgcluster.cli.demo_images import demo_images
from imgcluster.cli.duplicates import duplicates
from imgcluster.cli.evaluate import evaluate
from imgcluster.cli.extract import extract
from imgcluster.cli.networks import networks
from imgcluster.cli.report import report
from imgcluster.cli.similar import similar
from imgcluster.cli.sweep import sweep
from imgcluster.cli.undo import undo
from imgcluster.errors import ImgclusterError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence


class _ErrorBoundary(TyperGroup):
    """Turns what is foreseeable into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ImgclusterError as error:
            _report(str(error), error.failures)
            if isinstance(error, Interrupted):
                _leave(error.exit_code)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has had enough
                raise
            where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
            _report(f"cannot use {where}: {error.strerror or error}")
            raise typer.Exit(1) from None
        except MemoryError:
            _report(
                "there is too little memory: close other programs, or lower --batch-size of `extract`, "
                "--memory of `cluster`, `sweep` and `compare`"
            )
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            _report("stopped")
            _leave(interrupts.EXIT_CODE)


def _report(message: str, failures: Sequence[tuple[str, str]] = ()) -> None:
    console.note(message)
    if "--json" in sys.argv:
        listed = {"failures": console.failures_json(failures)} if failures else {}
        console.show_json({"error": message, **listed})
    elif len(failures) > 1:
        console.show_failures(failures)


def _leave(code: int) -> None:
    """End now: threads that still compute cannot be ended otherwise."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


app = typer.Typer(
    cls=_ErrorBoundary,
    help="Sort a folder of images by what they show.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS = (
    extract,
    cluster,
    sweep,
    evaluate,
    compare,
    assign,
    report,
    contact_sheet,
    similar,
    duplicates,
    undo,
    networks,
    demo_images,
)
for command in _COMMANDS:
    app.command()(command)
app.add_typer(store_commands.app, name="store")


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of few letters shows the others as numbers; stderr is so by itself.
        sys.stdout.reconfigure(errors="backslashreplace")
    interrupts.watch()
    app()
