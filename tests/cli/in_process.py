"""The real command line in the process of the tests: libraries are loaded once."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from imgcluster.cli.app import app


def imgcluster(*arguments: str, cwd: str | os.PathLike[str]) -> Result:
    """Run a command; its exit code, stdout and stderr."""
    with contextlib.chdir(cwd):
        return CliRunner().invoke(app, arguments)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything; within the block this thread, and those that it starts, may not."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, words = (ctypes.c_uint32 * 2)(0x20080522, 0), ctypes.c_uint32 * 6
    before, after = words(), words()
    assert libc.capget(header, before) == 0
    after[:] = before[:]
    after[0] &= ~(1 << 1 | 1 << 2)  # of the effective ones, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, after) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


def answer(*arguments: str, cwd: str | os.PathLike[str]) -> Any:
    """Run a command that is to succeed with --json; its answer."""
    done = imgcluster(*arguments, "--json", cwd=cwd)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=pytest.fail)
