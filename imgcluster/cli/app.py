"""The typer app, and the one place where an error becomes a line of text."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from imgcluster.cli import cluster, clusterings, console, extract, images, interrupts, store, streams
from imgcluster.cli.command import Answers, as_command
from imgcluster.engines.local import threads_left
from imgcluster.errors import ImgclusterError, Interrupted

_JSON = "imgcluster.json"
_WrongUsage: Any = typer.BadParameter.__base__
"""What typer raises for unknown, missing and contradicting options; it has no public name."""


class _AsTyped:
    """Takes what was typed as it is, for options check it: typer, from 0.29 on, would load Pydantic."""

    @staticmethod
    def coerce(value: Any, **_: Any) -> Any:
        return value


def _as_typed(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        each.get_runtime_param = lambda: _AsTyped
    return parameters


class _Command(TyperCommand):
    """A command whose options are made when they are needed: those of all take longer than the rest of help.

    Until then its callback is what makes the function with the options. It tells whether it was given
    ``--json`` also where the rest makes no sense.
    """

    _complete = False

    def get_params(self, ctx: Any) -> Any:
        if not self._complete and self.callback is not None:
            made = get_command_from_info(
                CommandInfo(callback=self.callback()), pretty_exceptions_short=False, rich_markup_mode=None
            )
            self.params, self.callback, self._complete = made.params, made.callback, True
        return _as_typed(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            lenient = {"resilient_parsing": True, "ignore_unknown_options": True, "allow_extra_args": True}
            understood = self.make_context(ctx.info_name, list(args), parent=ctx.parent, **lenient)
            ctx.meta[_JSON] = understood.params.get("json", False)
        return super().parse_args(ctx, args)


@contextlib.contextmanager
def _wrong_usage_told(ctx: Any) -> Iterator[None]:
    try:
        yield
    except _WrongUsage as error:
        if ctx.meta.get(_JSON):
            console.show_json({"error": error.format_message()})
        raise


class _Group(TyperGroup):
    """Commands under one name."""

    def get_params(self, ctx: Any) -> Any:
        return _as_typed(super().get_params(ctx))


class _ErrorBoundary(_Group):
    """Turns what is foreseeable into one line and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args  # until a command is found that knows better
        with _wrong_usage_told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _wrong_usage_told(ctx):
                return super().invoke(ctx)
        except _WrongUsage:
            raise
        except ImgclusterError as error:
            _report(ctx, str(error), error.failures)
            if isinstance(error, Interrupted):
                _leave(error.exit_code)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno == errno.EPIPE or error.filename == streams.STDOUT:
                raise  # whoever read our output has had enough, or `main` tells it
            where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
            _report(ctx, f"cannot use {where}: {error.strerror or error}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            _report(ctx, "stopped")
            _leave(interrupts.EXIT_CODE)
        except Exception as error:
            if isinstance(error, typer.Exit | typer.Abort):
                raise
            _report(ctx, _told(error))
            raise typer.Exit(1) from None


def _told(error: Exception) -> str:
    """Say what to do where there was too little memory, or where an unforeseen exception came from."""
    if isinstance(error, MemoryError):
        return (
            "there is too little memory: close other programs, or lower --batch-size of `extract`, "
            "--memory of `cluster`, `sweep` and `compare`"
        )
    console.write_down(traceback.format_exc())
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    return f"a fault of imgcluster, {type(error).__name__} in {where}: {error} (--log FILE keeps more of it)"


def _report(ctx: Any, message: str, failures: Sequence[tuple[str, str]] = ()) -> None:
    console.complain(message)
    if ctx.meta.get(_JSON):
        listed = {"failures": console.failures_json(failures)} if failures else {}
        console.show_json({"error": message, **listed})
    elif len(failures) > 1:
        console.show_failures(failures)


def _leave(code: int) -> None:
    """End now: threads that still compute cannot be ended otherwise."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it
    if asked:
        from importlib import metadata  # takes as long as all else that `--help` loads

        console.say(f"imgcluster {metadata.version('imgcluster')}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Sort a folder of images by what they show."""


def _group(**more: Any) -> typer.Typer:
    return typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, **more)


def _add(group: typer.Typer, *commands: Callable[..., Answers]) -> None:
    """Add commands to a group, by name and description alone; see `_Command`."""
    for command in commands:
        add = group.command(command.__name__.replace("_", "-"), cls=_Command, help=command.__doc__)
        add(_maker(command))


def _maker(command: Callable[..., Answers]) -> Callable[[], Callable[..., None]]:
    return lambda: as_command(command)


app = _group(cls=_ErrorBoundary)
app.callback()(_root)
_add(app, extract.extract, cluster.cluster, cluster.sweep, clusterings.evaluate, cluster.compare)
_add(app, clusterings.assign, clusterings.report, clusterings.contact_sheet, clusterings.name)
_add(app, clusterings.merge, clusterings.correct, clusterings.undo, clusterings.diff, clusterings.pick)
_add(app, images.similar, images.duplicates, images.inventory, extract.networks, extract.demo_images)
_store = _group(cls=_Group, help="Look after the feature store.")
_add(_store, store.info, store.verify, store.repair, store.prune, store.merge, store.export, store.cache)
app.add_typer(_store, name="store")


def main() -> None:
    """Run the command line."""
    if os.name == "nt":
        sys.exit("imgcluster runs on Linux and macOS: on Windows, run it in WSL, the Linux in Windows")
    streams.settle()
    interrupts.watch(console.note)
    gc.disable()  # while modules are loaded, it finds nothing and takes a tenth of the time
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:  # all others are told above
        if error.errno != errno.EPIPE:
            console.complain(f"cannot write to {streams.STDOUT}: {error.strerror}")
        os._exit(1)  # nor could Python write what it holds
    except SystemExit as end:
        # Decoders that are still at work do not survive the end of the interpreter, nor it them.
        if threads_left() and isinstance(end.code, int):
            _leave(end.code)
        raise
