"""Progress on stderr: bars in a terminal; elsewhere, and in the log, a line a minute."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from collections.abc import Callable, Iterator

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
from imgcluster.cli.console import console_on, printable, timed, voice, write_down
from imgcluster.cli.streams import without_noise
from imgcluster.errors import quantity

LINE_SECONDS = 60.0
"""How often a line tells where a command is that has no terminal for a bar."""


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
        if not voice.quiet:
            console.print(message if console.is_terminal else timed(message), soft_wrap=True)

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
            if not (voice.quiet or self._bars.live.is_started):
                self._bars.console.print(timed(message), soft_wrap=True)

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
        console = console_on(sys.stderr)
        shown = (console.is_terminal or console.is_jupyter) and not voice.quiet
        with Bars(*columns, console=console, disable=not shown, transient=True) as bars:
            progress = ConsoleProgress(bars)
            lines = _lines(progress) if voice.log or not (shown or voice.quiet) else contextlib.nullcontext()
            with lines:
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
