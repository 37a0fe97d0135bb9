"""Everything that is shown: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import threading
import time
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
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.files import open_named

if TYPE_CHECKING:
    from rich.progress import TaskID

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
    try:
        descriptor = open_named(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise ImgclusterError(
            f"cannot write {path}: {error.strerror}; name another file for --log"
        ) from error
    head = os.pread(descriptor, 40, 0).decode(errors="replace")
    if head and not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", head):
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
    write_down(printable(message))
    _stderr().print(printable(message), soft_wrap=True)


def note(message: str) -> None:
    """One line on stderr."""
    write_down(printable(message))
    if not _voice.quiet:
        _stderr().print(printable(message), soft_wrap=True)


def say(message: str) -> None:
    """One line on stdout."""
    write_down(printable(message))
    if not _voice.quiet:
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
        text = "  ".join(padded).rstrip()
        write_down(text)
        if not _voice.quiet:
            console.print(text, style=None if number else "bold", soft_wrap=True)


def show_clusters(out: str, clusters: Iterable[NamedCluster]) -> None:
    """List cluster folders and their sizes on stdout."""
    from imgcluster.output.names import folder_name

    for cluster in clusters:
        folder = folder_name(cluster.number, cluster.name)
        say(f"  {out}/{folder}: {quantity(cluster.size, 'image')}")


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
    """Progress as bars on stderr; where that is no terminal, as a line a minute."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._what = ""
        self._total: int | None = None
        self._done = self._failed = 0
        self._began = 0.0
        self.stopping = False

    def begin(self, what: str, total: int | None = None) -> None:
        """Start a bar in place of the last one."""
        write_down(what if total is None else f"{what}: {total}")
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._what, self._total, self._began = what, total, time.monotonic()
        self._done = self._failed = 0
        self._task = self._bars.add_task(what, total=total, failures="")

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """Move the bar."""
        if self._task is None:
            return
        self._done += steps
        self._failed += failed
        self._bars.update(
            self._task, advance=steps, failures=f"{self._failed} failed" if self._failed else ""
        )

    def note(self, message: str) -> None:
        """Print a line above the bar; where there is no terminal, with the time."""
        message = printable(message)
        write_down(message)
        console = self._bars.console
        if not _voice.quiet:
            console.print(message if console.is_terminal else _timed(message), soft_wrap=True)

    def say_where(self) -> None:
        """Tell in a line how far the stage is, unless a bar shows it."""
        if self._task is None:
            return
        parts = [f"{self._what}: {self._done:,}" if self._done or self._total else self._what]
        if self._total:
            parts[0] += f" of {self._total:,}"
        if self._failed:
            parts.append(f"{self._failed} failed")
        passed = time.monotonic() - self._began
        if self._total and 0 < self._done < self._total:
            left = passed * (self._total - self._done) / self._done
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
