"""One call in a process of its own, for work that may take its process with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from imgcluster.engines.local import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

_START_SECONDS = 30
"""What a busy machine may need to start Python and to import what the function needs."""

_PROGRAM = """\
import json, sys
call = json.load(sys.stdin.buffer)
sys.path[:] = call["path"]
from imgcluster.engines.child import carry_out
carry_out(call)
"""


class ChildDied(Exception):
    """The process ended without an answer; the message says how."""


def call_in_child(function: Callable[..., bytes], arguments: dict[str, Any], timeout: float) -> bytes:
    """Call a function that a module defines, with arguments that JSON can hold, and return its bytes.

    Raises
    ------
    ChildDied
        The process crashed, was killed or ended with an error.
    TimedOut
        No answer within `timeout` seconds and a time to start; the process is ended.
    """
    call = {
        "path": sys.path,
        "function": name_of(function),
        "arguments": arguments,
        "seconds": timeout,
    }
    try:
        # Ctrl-C at the terminal is not for the child: it would look like a death of its own.
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=json.dumps(call).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout + _START_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOut(f"gave no answer within {timeout:g} s") from None
    if done.returncode == -signal.SIGALRM:
        raise TimedOut(f"gave no answer within {timeout:g} s")
    if done.returncode:
        raise ChildDied(_how(done.returncode))
    return done.stdout


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def name_of(function: Callable[..., Any]) -> str:
    """Name a function so that another process finds it."""
    return f"{function.__module__}:{function.__qualname__}"


def function_named(name: str) -> Callable[..., Any]:
    """Find the function of that name."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


def carry_out(call: dict[str, Any]) -> None:
    """Run in the child: answer the call on stdout, out of reach for whatever else writes there."""
    answer = os.dup(1)
    os.dup2(2, 1)
    function = function_named(call["function"])
    # The alarm's default action ends the process even when the code that hangs is not Python's; and nothing
    # is left behind where the parent is gone.
    signal.setitimer(signal.ITIMER_REAL, call["seconds"])
    result = function(**call["arguments"])
    signal.setitimer(signal.ITIMER_REAL, 0)
    with open(answer, "wb") as file:
        file.write(result)
