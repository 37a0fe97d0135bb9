"""Everything that is shown: results on stdout; notes and errors on stderr (progress: `progress`)."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TextIO

from imgcluster.errors import ImgclusterError, explained, quantity
from imgcluster.files import leads_out, open_named
from imgcluster.held import at
from imgcluster.typed import typed_path

if TYPE_CHECKING:
    from rich.console import Console

    from imgcluster.records import Failure, NamedCluster  # loads NumPy

MOST_FAILURES_SHOWN = 20


def printable(text: str) -> str:
    """Text that cannot move the cursor, hide or break a line: what is not printable is escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


class Voice:
    """How this command speaks: one terminal serves the whole process."""

    quiet = False
    log: TextIO | None = None


voice = Voice()


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
    if voice.log is not None:
        voice.log.close()
    voice.quiet, voice.log = quiet, None if log is None else _open_log(log)
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
    log = voice.log
    if log is None:
        return
    try:
        log.write(f"{timed(message)}\n")
    except OSError as error:  # the work goes on without
        voice.log = None
        with contextlib.suppress(OSError):
            log.close()
        complain(f"cannot write the log any more: {error.strerror}")


def timed(message: str) -> str:
    """Put the time before a line."""
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
    if always or not voice.quiet:
        console_on(stream).print(text, style=style, soft_wrap=True)


@functools.lru_cache(maxsize=2)
def console_on(stream: TextIO) -> Console:
    """Give a console that takes text as it is: `[red]` and `:dog:` in a name are just letters."""
    from rich.console import Console

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
    from rich.cells import cell_len

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
