"""Everything that is shown: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from imgcluster.errors import ImgclusterError, explained, quantity
from imgcluster.files import leads_out, open_named
from imgcluster.held import at
from imgcluster.options import typed_path

if TYPE_CHECKING:
    from imgcluster.records import Failure, NamedCluster  # loads NumPy

MOST_FAILURES_SHOWN = 20
LINE_SECONDS = 60.0
"""How often a line tells where a command is that has no terminal for a bar."""


def printable(text: str) -> str:
    """Text that cannot move the cursor, hide or break a line: what is not printable is escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


class _Voice:
    """How this command speaks: one terminal serves the whole process."""

    quiet = False
    log: TextIO | None = None


_voice = _Voice()


def speak(*, quiet: bool = False, log: str | None = None) -> None:
    """Settle how the command that begins now speaks.

    Parameters
    ----------
    quiet
        Nothing is shown but errors and JSON.
    log
        The file that all is appended to, with the time.

    Raises
    ------
    ImgclusterError
        Where `log` cannot be written, or holds something else than a log.
    """
    if _voice.log is not None:
        _voice.log.close()
    _voice.quiet, _voice.log = quiet, None if log is None else _open_log(log)
    write_down(printable(" ".join(["imgcluster", *sys.argv[1:]])))


def _open_log(path: str) -> TextIO:
    typed_path(path)
    with explained(f"cannot write {path}", "; name another file for --log"):
        elsewhere, flags = leads_out(path), os.O_RDWR | os.O_APPEND
        if elsewhere or os.path.exists(path):
            descriptor = open_named(path, flags)
        else:
            with at(os.path.realpath(path)) as held:
                descriptor = open_named(held, flags | os.O_CREAT)
    head = os.pread(descriptor, 40, 0).decode(errors="replace")
    if (head or elsewhere) and not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", head):
        os.close(descriptor)
        raise ImgclusterError(f"{path} is not a log of imgcluster: name another file for --log")
    return os.fdopen(descriptor, "a", buffering=1, encoding="utf-8")


def write_down(message: str) -> None:
    """Put a line into the log, if there is one."""
    log = _voice.log
    if log is None:
        return
    try:
        log.write(f"{_timed(message)}\n")
    except OSError as error:  # the work goes on without
        _voice.log = None
        with contextlib.suppress(OSError):
            log.close()
        complain(f"cannot write the log any more: {error.strerror}")


def _timed(message: str) -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}"


def complain(message: str) -> None:
    """One line on stderr, whatever else is not shown."""
    _print(sys.stderr, printable(message), always=True)


def note(message: str) -> None:
    """One line on stderr."""
    _print(sys.stderr, printable(message))


def say(message: str) -> None:
    """One line on stdout."""
    _print(sys.stdout, printable(message))


def _print(stream: TextIO, text: str, *, style: str | None = None, always: bool = False) -> None:
    write_down(text)
    if always or not _voice.quiet:
        _console(stream).print(text, style=style, soft_wrap=True)


@functools.lru_cache(maxsize=2)
def _console(stream: TextIO) -> Console:
    """Give a console that takes text as it is: `[red]` and `:dog:` in a name are just letters."""
    console = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not console.width:  # by COLUMNS=0
        console.width = 80
    return console


def show_json(result: object) -> None:
    """One JSON object on stdout, of a dataclass or a dict."""
    text = json.dumps(_plain(result), allow_nan=False)  # first: where it fails, nothing is half written
    sys.stdout.write(f"{text}\n")


def _plain(value: Any) -> Any:
    """Make of dataclasses what `json.dumps` takes; a key becomes hex, and NaN, which JSON lacks, None."""
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def chosen(items: Iterable[Any], *names: str) -> list[dict[str, Any]]:
    """Give some attributes of each item."""
    return [{name: getattr(item, name) for name in names} for item in items]


def show_rows(items: Sequence[Any], **columns: str) -> None:
    """Print some attributes of items as a table, each in a format; numbers are aligned to the right."""
    rows = [[getattr(item, name) for name in columns] for item in items]
    numbers = [at for at, value in enumerate(rows[0] if rows else ()) if not isinstance(value, str)]
    cells = [[*map(_cell, row, columns.values())] for row in rows]
    show_table(tuple(columns), cells, numbers=numbers)


def _cell(value: Any, form: str) -> str:
    return "not defined" if isinstance(value, float) and math.isnan(value) else format(value, form)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Print a table on stdout; the columns at the positions `numbers` are aligned to the right.

    No cell is ever cut, for a path that is cut leads nowhere: lines may be longer than the terminal is wide.
    """
    lines = [[printable(cell) for cell in line] for line in (columns, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)]
        padded = (
            blank + cell if position in numbers else cell + blank
            for position, (cell, blank) in enumerate(zip(line, blanks, strict=True))
        )
        _print(sys.stdout, "  ".join(padded).rstrip(), style=None if number else "bold")


def show_clusters(out: str, clusters: Iterable[NamedCluster], mode: str) -> None:
    """List the clusters of a folder, by their own folders or below the table that stands for these."""
    from imgcluster.output.link_modes import TABLE
    from imgcluster.output.manifest import ASSIGNMENTS
    from imgcluster.output.names import folder_name

    if mode == TABLE:
        say(f"  {out}/{ASSIGNMENTS}:")
    for cluster in clusters:
        place = (
            f"  {cluster.title}" if mode == TABLE else f"{out}/{folder_name(cluster.number, cluster.name)}"
        )
        say(f"  {place}: {quantity(cluster.size, 'image')}")


def show_page(page: str | None) -> None:
    """Name the page to look at, if one was made."""
    if page:
        say(f"open {page}")


def paths_and_reasons(failures: Iterable[Failure]) -> list[tuple[str, str]]:
    """Give of failed files what is shown of them."""
    return [(failure.path, failure.reason) for failure in failures]


def failures_json(failures: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Files and reasons as they are in JSON."""
    return [{"path": path, "reason": reason} for path, reason in failures]


def show_failures(
    failures: Sequence[tuple[str, str]], *, in_full: str = "--json", always: bool = False
) -> None:
    """List files and reasons on stderr; where there are many, the first, and the option that lists all."""
    tell = complain if always else note
    for path, reason in failures[:MOST_FAILURES_SHOWN]:
        tell(f"  {path}: {reason}")
    if len(failures) > MOST_FAILURES_SHOWN:
        tell(f"  … and {len(failures) - MOST_FAILURES_SHOWN} more; {in_full} lists all")


class ConsoleProgress:
    """Progress as bars on stderr; where that is no terminal, as a line a minute."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self.stopping = False

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a bar in place of the last one."""
        write_down(what if total is None else f"{what}: {total}")
        for last in self._bars.task_ids:
            self._bars.remove_task(last)
        self._bars.add_task(what, total=total, failed=0)

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """Move the bar."""
        for task in self._bars.tasks:
            self._bars.update(task.id, advance=steps, failed=task.fields["failed"] + failed)

    def note(self, message: str) -> None:
        """Print a line above the bar; where there is no terminal, with the time."""
        message = printable(message)
        write_down(message)
        console = self._bars.console
        if not _voice.quiet:
            console.print(message if console.is_terminal else _timed(message), soft_wrap=True)

    def say_where(self) -> None:
        """Tell in a line how far the stage is, unless a bar shows it."""
        for task in self._bars.tasks:
            total, done = task.total, task.completed
            parts = [f"{task.description}: {done:,.0f}" if done or total else task.description]
            if total:
                parts[0] += f" of {total:,.0f}"
            parts += filter(None, [_failed(task)])
            if total and 0 < done < total:
                left = (task.elapsed or 0) * (total - done) / done
                parts.append(f"about {quantity(math.ceil(left / 60), 'minute')} left")
            message = printable(", ".join(parts))
            write_down(message)
            if not (_voice.quiet or self._bars.live.is_started):
                self._bars.console.print(_timed(message), soft_wrap=True)

    def graceful_interrupt(self) -> contextlib.AbstractContextManager[None]:
        """Let Ctrl-C set `stopping`."""
        return interrupts.asking_to_stop(self._stop)

    def _stop(self) -> None:
        self.stopping = True


class _Text(ProgressColumn):
    """What a function says of a task."""

    def __init__(self, say: Callable[[Task], str], style: str = "") -> None:
        super().__init__()
        self._say, self._style = say, style

    def render(self, task: Task) -> Text:
        """Render it."""
        return Text(self._say(task), self._style)


def _speed(task: Task) -> str:
    return f"{task.speed:,.1f}/s" if task.speed else ""


def _failed(task: Task) -> str:
    return f"{task.fields['failed']} failed" if task.fields["failed"] else ""


@contextlib.contextmanager
def progress() -> Iterator[ConsoleProgress]:
    """Bars while the block runs, and no noise of libraries between them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Text(_speed),
        TimeRemainingColumn(),
        _Text(_failed, "red"),
    )
    with without_noise():
        console = _console(sys.stderr)
        shown = (console.is_terminal or console.is_jupyter) and not _voice.quiet
        with Bars(*columns, console=console, disable=not shown, transient=True) as bars:
            progress = ConsoleProgress(bars)
            with _lines(progress) if _voice.log or not (shown or _voice.quiet) else contextlib.nullcontext():
                yield progress


@contextlib.contextmanager
def _lines(progress: ConsoleProgress) -> Iterator[None]:
    """Have a line printed again and again while the block runs, whatever it is at."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(LINE_SECONDS):
            progress.say_where()

    threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        over.set()
