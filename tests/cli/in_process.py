"""The real command line in the process of the tests: libraries are loaded once."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from imgcluster.cli.app import app


def imgcluster(*arguments: str, cwd: str | os.PathLike[str]) -> Result:
    """Run a command; its exit code, stdout and stderr."""
    with contextlib.chdir(cwd):
        return CliRunner().invoke(app, arguments)


def answer(*arguments: str, cwd: str | os.PathLike[str]) -> Any:
    """Run a command that is to succeed with --json; its answer."""
    done = imgcluster(*arguments, "--json", cwd=cwd)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=pytest.fail)
