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
NAMES = {
    "unlink",
    "remove",
    "rename",
    "replace",
    "mkdir",
    "makedirs",
    "rmdir",
    "removedirs",
    "link",
    "symlink",
}
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


def changed_by_path(source: str) -> Iterator[str]:
    """What a module does to names in folders that it does not hold open."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="os")), keywords=more):
                if name in NAMES | {"chmod"} and not any("dir_fd" in str(each.arg) for each in more):
                    yield f"os.{name}"


def test_output_changes_names_only_in_folders_that_are_held_open() -> None:
    """`imgcluster.held` has what goes by a path; the cache is this user's alone."""
    for path in sorted((PACKAGE / "output").rglob("*.py")):
        cache = {"os.makedirs"} if path.name == "report_thumbnails.py" else set()
        assert set(changed_by_path(path.read_text(encoding="utf-8"))) == cache, path.name
    assert set(changed_by_path("os.rename(a, b)\nos.unlink(n, dir_fd=f)")) == {"os.rename"}


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
