"""Everything that is shown: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from imgcluster.cli import interrupts
from imgcluster.cli.streams import without_noise

if TYPE_CHECKING:
    from rich.progress import TaskID

    from imgcluster.records import Failure  # loads NumPy

MOST_FAILURES_SHOWN = 20


def printable(text: str) -> str:
    """Text that cannot move the cursor, hide or break a line: what is not printable is escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def note(message: str) -> None:
    """One line on stderr."""
    _stderr().print(printable(message), soft_wrap=True)


def say(message: str) -> None:
    """One line on stdout."""
    _stdout().print(printable(message), soft_wrap=True)


def show_json(result: object) -> None:
    """One JSON object on stdout, of a dataclass or a dict."""
    text = json.dumps(_plain(result), allow_nan=False)  # first: where it fails, nothing is half written
    sys.stdout.write(f"{text}\n")


def _plain(value: Any) -> Any:
    """Make of dataclasses what `json.dumps` takes; NaN, which JSON lacks, becomes None."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Print a table on stdout; the columns at the positions `numbers` are aligned to the right.

    No cell is ever cut, for a path that is cut leads nowhere: lines may be longer than the terminal is wide.
    """
    lines = [[printable(cell) for cell in line] for line in (columns, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    console = _stdout()
    for number, line in enumerate(lines):
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)]
        padded = (
            blank + cell if position in numbers else cell + blank
            for position, (cell, blank) in enumerate(zip(line, blanks, strict=True))
        )
        style = None if number else "bold"
        console.print("  ".join(padded).rstrip(), style=style, soft_wrap=True)


def paths_and_reasons(failures: Iterable[Failure]) -> list[tuple[str, str]]:
    """Give of failed files what is shown of them."""
    return [(failure.path, failure.reason) for failure in failures]


def failures_json(failures: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Files and reasons as they are in JSON."""
    return [{"path": path, "reason": reason} for path, reason in failures]


def show_failures(failures: Sequence[tuple[str, str]], *, in_full: str = "--json") -> None:
    """List files and reasons on stderr; where there are many, the first, and the option that lists all."""
    for path, reason in failures[:MOST_FAILURES_SHOWN]:
        note(f"  {path}: {reason}")
    if len(failures) > MOST_FAILURES_SHOWN:
        note(f"  … and {len(failures) - MOST_FAILURES_SHOWN} more; {in_full} lists all")


def _stderr() -> Console:
    return _literal(sys.stderr)


def _stdout() -> Console:
    return _literal(sys.stdout)


def _literal(stream: TextIO) -> Console:
    """Give a console that takes text as it is: `[red]` and `:dog:` in a name are just letters."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


class ConsoleProgress:
    """Progress as bars on stderr; no bars where stderr is no terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._failed = 0
        self.stopping = False

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a bar in place of the last one."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._failed = 0
        self._task = self._bars.add_task(what, total=total, failures="")

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """Move the bar."""
        if self._task is None:
            return
        self._failed += failed
        self._bars.update(
            self._task, advance=steps, failures=f"{self._failed} failed" if self._failed else ""
        )

    def note(self, message: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(printable(message), soft_wrap=True)

    def graceful_interrupt(self) -> contextlib.AbstractContextManager[None]:
        """Let Ctrl-C set `stopping`."""
        return interrupts.asking_to_stop(self._stop)

    def _stop(self) -> None:
        self.stopping = True


class _Speed(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """Render the speed of one task."""
        return Text(f"{task.speed:,.1f}/s" if task.speed else "")


@contextlib.contextmanager
def progress() -> Iterator[ConsoleProgress]:
    """Bars while the block runs, and no noise of libraries between them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failures]}"),
    )
    with without_noise():
        console = _stderr()
        with Bars(
            *columns, console=console, disable=not (console.is_terminal or console.is_jupyter), transient=True
        ) as bars:
            yield ConsoleProgress(bars)
