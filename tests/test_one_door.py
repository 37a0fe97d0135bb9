"""Files are opened in one place, `imgcluster.files`, which follows no link and never waits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import imgcluster

PACKAGE = Path(imgcluster.__file__).parent
ROOMS = ("store", "output", "networks", "cli")
FORBIDDEN = {"open", "io.open", "os.open", "os.truncate", "Path.open", "codecs.open"}
MODULES = {"shutil", "tempfile", "codecs"}
METHODS = {"read_bytes", "read_text", "write_bytes", "write_text"}
TERMINAL = {"cli/streams.py": {"os.open", "open"}}
"""Opens nothing but the terminal, by its descriptor, and the place where output is lost."""


def doors(source: str) -> Iterator[str]:
    """What a module calls or imports to open, copy or cut files."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                yield module
            case ast.ImportFrom(module="os" | "io", names=names):
                yield from (f"os.{name.name}" for name in names if name.name in {"open", "truncate"})
            case ast.Name(id="open"):
                yield "open"
            case ast.Attribute(attr=attribute, value=ast.Name(id=owner)) if (
                f"{owner}.{attribute}" in FORBIDDEN
            ):
                yield f"{owner}.{attribute}"
            case ast.Attribute(attr=attribute) if attribute in METHODS:
                yield attribute


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_open_no_file_by_themselves(room: str) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        assert set(doors(path.read_text(encoding="utf-8"))) <= TERMINAL.get(name, set()), name


@pytest.mark.parametrize(
    "code",
    [
        "open(p)",
        "with open(p) as f: pass",
        "put = open",
        "import os; os.open(p, 0)",
        "import os; os.truncate(p, 0)",
        "import shutil",
        "from shutil import copy2",
        "from os import open",
        "import tempfile as t",
        "Path(p).read_text()",
    ],
)
def test_each_way_around_the_door_is_seen(code: str) -> None:
    assert list(doors(code))
