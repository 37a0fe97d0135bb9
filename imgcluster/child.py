"""One call in a process of its own, for work that may take its process, or too much memory, with it.

The child is isolated: it runs nothing that lies in the working folder, which is often somebody else's work.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")

_START_SECONDS = 30
"""What a busy machine may need to start Python and to import what the function needs."""

# Isolated (-I), Python itself leaves out the working folder and PYTHONPATH; the path comes with the call.
_PROGRAM = """\
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from imgcluster.child import _answer
_answer()
"""


class ChildDied(Exception):
    """The process ended without an answer; the message says how, `signal` by which one, if any."""

    def __init__(self, how: str, signal: int | None = None) -> None:
        super().__init__(how)
        self.signal = signal


class TimedOut(Exception):
    """There was no answer in time; the work was given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"gave no answer within {seconds:g} s")
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[TimedOut], tuple[float]]:
        return type(self), (self.seconds,)


@dataclass(frozen=True)
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float | None


@dataclass(frozen=True)
class _Answer:
    result: Any = None
    error: Exception | None = None


def call_in_child(
    function: Callable[..., Result], *arguments: object, timeout: float | None = None
) -> Result:
    """Call a function that a module defines, in a process of its own; everything is handed over pickled.

    An exception of the function is raised here.

    Parameters
    ----------
    timeout
        Seconds; None: as long as it takes.

    Raises
    ------
    ChildDied
        The process crashed, was killed or ended without an answer.
    TimedOut
        No answer in time; the process is ended.
    """
    call = pickle.dumps(_import_path()) + pickle.dumps(_Call(function, arguments, timeout))
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM],
            input=call,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=None if timeout is None else timeout + _START_SECONDS,
            start_new_session=True,  # Ctrl-C at the terminal would look like a death of its own
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(error.timeout - _START_SECONDS) from None
    if timeout is not None and done.returncode == -signal.SIGALRM:
        raise TimedOut(timeout)
    if done.returncode:
        raise ChildDied(_how(done.returncode), max(-done.returncode, 0) or None)
    answer: _Answer = pickle.loads(done.stdout)  # noqa: S301 - our own child's
    if answer.error is not None:
        raise answer.error
    result: Result = answer.result
    return result


def _import_path() -> list[str]:
    """Give the path that this process imports from, without the working folder.

    Where imgcluster itself lies there, which is a checkout, the folder comes last: it brings imgcluster, and
    nothing that has another place.
    """
    here = os.path.realpath(os.curdir)
    path = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return path if ours in path else [*path, ours]


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _answer() -> None:
    """Run in the child: answer the call on stdout, out of reach for whatever else writes there."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    call: _Call = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    # The alarm's default action ends the process even when the code that hangs is not Python's; and nothing
    # is left behind where the parent is gone.
    signal.setitimer(signal.ITIMER_REAL, call.seconds or 0)
    try:
        answer = _Answer(call.function(*call.arguments))
    except Exception as error:  # noqa: BLE001 - the parent's to handle
        answer = _Answer(error=portable(error))
    signal.setitimer(signal.ITIMER_REAL, 0)
    with open(descriptor, "wb") as file:
        pickle.dump(answer, file)


def portable(error: Exception) -> Exception:
    """Give the error, or one that says the same where it cannot be handed over."""
    try:
        return error if type(pickle.loads(pickle.dumps(error))) is type(error) else _told(error)  # noqa: S301
    except Exception:  # noqa: BLE001 - whatever an exception of a library does when pickled
        return _told(error)


def _told(error: Exception) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__}: {error}")
