"""Forged states of every kind in a folder, every command on it: what lies around it stays as it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from fakes import FakeSource, write_images
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from in_process import imgcluster
from interruption import Interruption

from imgcluster.output.life import new_tree
from imgcluster.ownership import Ownership
from imgcluster.records import PathEntry
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.cluster import ClusterOptions, cluster
from imgcluster.workflows.extract import ExtractOptions, extract

EXAMPLES = int(os.environ.get("IMGCLUSTER_ATTACKS", "2000"))
SECONDS = 60
"""Far more than any command takes here, also on a machine that has other things to do."""

SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----"
LONG_AGO = 10**18
STRANGER = 12345
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}

COMMANDS = [
    *(f"cluster -k 2 --mode {mode}" for mode in ("copy", "move", "hardlink", "symlink")),
    "cluster -k 2 --mode move --force",
    "cluster -k 2 --mode copy --dry-run",
    "cluster -k 2 --mode move --clusters clusters --out other",
    "cluster -k 1 photos/red --mode move --out other",
    "undo",
    "undo --force",
    "undo --all",
    "undo --dry-run",
    "undo --trust photos",
    "cluster -k 2 --trust photos",
    "name 0=cats",
    "merge 0 1",
    "correct -o edits.csv",
    "cluster -k 2 --edits edits.csv",
    "assign photos --place",
    "report",
    "evaluate",
    "assign photos",
    "assign photos --store features.h5 -o assigned.csv",
    "contact-sheet --cluster 0 -o sheet.png",
    "similar photos/red/red0.png",
    "duplicates --plan plan.csv",
    "duplicates --apply plan.csv --trash trash",
    "duplicates --report",
    "inventory -o inventory.csv",
    "sweep -k 1:2",
    "sweep -k 1:2 --report",
    "pick --n 2 -o few",
    "diff clusters other",
    "cluster -k 2 --mode table",
    "cluster -k 2 --store shards/*.h5 --out other",
    "cluster -k 2 --mode move --log run.log",
    "store cache --clear",
    "store info",
    "store verify",
    "store repair",
    "store prune",
    "store prune --force",
    "store merge features.h5 -o merged.h5",
    "store export -o out.npz",
]
"""All that need no network; `extract` has its own suites of hostile folders and files."""

STATE = [
    *(
        "clusters/.imgcluster.json",
        "clusters/assignments.csv",
        "clusters/clustering.json",
        "clusters/model.npz",
    ),
    *("clusters/.imgcluster-moves", "clusters/.imgcluster-unfinished", "clusters/.imgcluster.json.part"),
    *("clusters/.imgcluster-before-000.zip", "clusters/0", "clusters/kept", "clusters/report"),
    *("clusters/report.html", "clusters", "{new}", "{old}", "{new}/.imgcluster.json", "{new}/0", "{old}/0"),
    *("features.h5", "features.h5.lock", "features.h5.wal0", "features.h5.wal1", "features.h5.inflight"),
    *("photos", "photos/red", "photos/red/red0.png", "clusters/0/red0.png", "other", "edits.csv"),
    *("photos/red/red0.xmp", "photos/red/red0.png.sh", "clusters/0/red0.xmp", "clusters/edits.csv"),
    *("shards/a.h5", "shards", "plan.csv", "trash", "few", "run.log", "inventory.csv", "assigned.csv"),
    *("sweep-report", "sweep-report/report", "duplicates-report", "out.npz", "merged.h5", "sheet.png"),
]
"""Places in the folder where something may lie that a command looks at or writes to."""

KINDS: dict[str, Callable[[Path, Path], object]] = {
    "file link": lambda path, home: path.symlink_to(home / ".ssh" / "id_rsa"),
    "folder link": lambda path, home: path.symlink_to(home / "pictures"),
    "link to a store": lambda path, home: path.symlink_to(home / "features.h5"),
    "link to nothing": lambda path, home: path.symlink_to(home / ".profile"),
    "link to an empty file": lambda path, home: path.symlink_to(home / ".hushlogin"),
    "hard link": lambda path, home: path.hardlink_to(home / ".bashrc"),
    "pipe": lambda path, home: os.mkfifo(path),
    "zeros": lambda path, home: path.symlink_to("/dev/zero"),
    "sparse": lambda path, home: (path.touch(), os.truncate(path, 1 << 33)),
    "rubbish": lambda path, home: path.write_bytes(b'{"schema": 1, "files": [[[' + bytes(range(256))),
    "infinity": lambda path, home: path.write_text('{"schema": 1, "generation": Infinity, "files": {}}'),
    "deep": lambda path, home: os.makedirs(os.path.join(path, *["d"] * 300)),
    "program": lambda path, home: (path.write_bytes(b"#!/bin/sh"), path.chmod(0o6755)),
    "folder": lambda path, home: ((path / "deep").mkdir(parents=True), (path / "deep" / "a").write_text("a")),
    "gone": lambda path, home: None,
}
Forgery = tuple[str, str]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it comes in an archive: photographs, a store, and a clustering that moved nothing yet."""
    folder = tmp_path_factory.mktemp("base") / "album"
    write_images(folder / "photos", 3, COLOURS)
    for path in folder.rglob("*.png"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    extract([folder / "photos"], ExtractOptions(store=str(folder / "features.h5")), source=FakeSource())
    return folder


def world(root: Path, album: Path, mode: str, *, own: bool) -> Path:
    """The folder with a clustering, of this user's or of somebody else's, and what lies around it."""
    here = root / "album"
    shutil.copytree(album, here)
    (here / "shards").mkdir()
    shutil.copy(here / "features.h5", here / "shards" / "b.h5")
    for name in ("home/.ssh/id_rsa", "home/pictures/red0.png", "home/.bashrc"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET + name.encode())
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    (root / "home" / ".hushlogin").touch()
    shutil.copy(here / "features.h5", root / "home" / "features.h5")
    owner = Ownership(str(root / "state" / "imgcluster")) if own else Ownership()
    options = ClusterOptions(k=2, store=str(here / "features.h5"), out=str(here / "clusters"), mode=mode)
    cluster((), options, owner=owner)
    return here


def place(here: Path, name: str) -> Path:
    new = os.path.basename(new_tree(str(here / "clusters")))
    return here / name.format(new=new, old=f"{new.removesuffix('new')}old")


def plant(here: Path, forgery: Forgery, owner: int | None = None) -> None:
    """Put something into a place of the folder, in the stead of what is there; `owner` is that of a link."""
    name, kind = forgery
    path, home = place(here, name), here.parent / "home"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(here.resolve()):
            return  # behind a link that was planted before: the attacker wrote that himself
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        KINDS[kind](path, home)
        if owner is not None and path.is_symlink() and os.geteuid() == 0:
            os.lchown(path, owner, owner)


def forge_marker(here: Path, folder: str, names: list[tuple[str, str, str]], *, building: bool) -> None:
    """A marker, and a journal, that say of files whatever they like, by one who knows inodes and times."""
    root = place(here, folder)
    if root.is_symlink() or not root.resolve().is_relative_to(here.resolve()):
        return
    with contextlib.suppress(OSError):
        root.mkdir(exist_ok=True)
    files, lines = {}, []
    for name, kind, home in names:
        path = root / name
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(b"#!/bin/sh\n")
            found, original = path.lstat(), home.format(home=here.parent / "home")
            key = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
            identity = [found.st_size, found.st_mtime_ns, found.st_ino]
            files[f"./{name}"] = [kind, key, *identity, original, str(here.parent / "home" / ".bashrc")]
            lines.append(json.dumps([original, f"./{name}", found.st_ino, *identity[:2]]) + "\n")
    document = {"schema": 1, "generation": 9, "building": building, "moves": None, "name": "0" * 32}
    document |= {"replaces": root.lstat().st_ino if root.exists() else 0, "edition": 9, "files": files}
    document |= {"signature": "0" * 64}
    with contextlib.suppress(OSError):
        (root / ".imgcluster.json").write_text(json.dumps(document))
        (root / ".imgcluster-moves").write_text("".join(lines))


def forge_store(here: Path, name: str) -> None:
    """Let the store say of a file outside that it is one of the photographs."""
    path = here.parent / "home" / name
    with contextlib.suppress(Exception), FeatureStore(str(here / "features.h5"), "a") as store:
        found = path.stat()
        entry = PathEntry(str(path), found.st_size, found.st_mtime_ns, 2 * LONG_AGO, store.paths()[0].key)
        store.record_paths([entry])


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that lies below a folder: kinds, permissions, times and bytes."""
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            status = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            time = status.st_mtime_ns if data else 0
            found[str(path)] = (status.st_mode, status.st_ino, status.st_size if data else 0, time, data)
    return found


def leaked(here: Path) -> list[str]:
    """Files in the folder that hold bytes of those outside, but for what the attacker linked himself."""
    outside = {path.stat().st_ino for path in (here.parent / "home").rglob("*") if path.is_file()}
    return [
        str(path)
        for path in here.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24
        if path.stat().st_ino not in outside and SECRET in path.read_bytes()
    ]


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """A command that hangs fails."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"no answer within {SECONDS} s"))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attack(root: Path, album: Path, plan: dict[str, object], patch: pytest.MonkeyPatch) -> None:
    for variable in ("STATE", "CACHE", "CONFIG", "DATA"):
        patch.setenv(f"XDG_{variable}_HOME", str(root / variable.lower()))
    patch.setenv("HOME", str(root / "home"))
    here = world(root, album, plan["mode"], own=plan["own"])  # type: ignore[arg-type]
    for step in plan["steps"]:  # type: ignore[attr-defined]
        step(here)
    before = seen(root / "home")
    for command in plan["commands"]:  # type: ignore[attr-defined]
        with in_time(), pytest.MonkeyPatch.context() as during:
            if plan["during"]:
                at, forgery = plan["during"]  # type: ignore[misc]
                Interruption(during.setattr, at, partial(plant, here, forgery, STRANGER))
            done = imgcluster(*command.split(), cwd=here)
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exc_info)
        assert done.exit_code in {0, 1, 2, 3}, (command, done.output)
        assert "Traceback" not in done.output
        assert seen(root / "home") == before, command
        assert leaked(here) == [], command


Step = Callable[[Path], None]


def _planted(forgery: Forgery) -> Step:
    return lambda here: plant(here, forgery)


def _marked(state: tuple[str, list[tuple[str, str, str]], bool]) -> Step:
    return lambda here: forge_marker(here, state[0], state[1], building=state[2])


def _in_store(name: str) -> Step:
    return lambda here: forge_store(here, name)


homes = st.sampled_from(
    ["{home}/.config/autostart/x.desktop", "{home}/.bashrc", "{home}/new", "./../../home/x"]
)
inner = st.sampled_from(["0/red0.png", "kept/x", "x", "report/x", "1/a", "0/../../x"])
kinds = st.sampled_from(["moved", "copy", "hardlink", "symlink", "written", "companion"])
forgeries = st.tuples(st.sampled_from(STATE), st.sampled_from(sorted(KINDS)))
steps = st.one_of(
    forgeries.map(_planted),
    st.tuples(
        st.sampled_from(["clusters", "{new}", "{old}", "other"]),
        st.lists(st.tuples(inner, kinds, homes), max_size=3),
        st.booleans(),
    ).map(_marked),
    st.sampled_from([".ssh/id_rsa", "pictures/red0.png"]).map(
        lambda name: lambda here: forge_store(here, name)
    ),
)
plans = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["copy", "move"]),
        "own": st.booleans(),
        "steps": st.lists(steps, min_size=1, max_size=4),
        # What somebody puts there before one of the steps by which a command changes something.
        "during": st.none() | st.tuples(st.integers(1, 40), forgeries),
        "commands": st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3),
    }
)


def attacks(number: int, *, new: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=number,
        derandomize=not new,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize(
    "command", ["extract photos", "cluster -k 1", "undo", "store prune --force", "store info"]
)
def test_a_link_that_nobody_named_leads_to_no_store_or_clustering_elsewhere(
    tmp_path: Path, album: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S8."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    mine = world(tmp_path, album, "move", own=True)
    theirs = tmp_path / "unpacked"
    write_images(theirs / "photos", 1, COLOURS)
    for name in ("features.h5", "clusters"):
        (theirs / name).symlink_to(mine / name)
    before = seen(mine)
    done = imgcluster(*command.split(), cwd=theirs)
    assert done.exit_code == 2, done.output
    assert seen(mine) == before


@pytest.mark.parametrize("at", [1, *(pytest.param(later, marks=pytest.mark.slow) for later in (4, 15))])
@pytest.mark.parametrize(
    "command", ["cluster -k 1 --mode move", "undo", "assign photos", "store prune --force"]
)
def test_nor_one_that_appears_while_a_command_works(
    tmp_path: Path, album: Path, command: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S8, S10: what a usual name leads to is looked at whenever it is used."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine" / "state"))
    mine = world(tmp_path / "mine", album, "move", own=True)
    shutil.copytree(tmp_path / "mine" / "state", tmp_path / "theirs" / "state")
    theirs = world(tmp_path / "theirs", album, "copy", own=True)
    shutil.copytree(tmp_path / "theirs" / "state", tmp_path / "mine" / "state", dirs_exist_ok=True)

    def exchange() -> None:
        for name in ("features.h5", "clusters"):
            (theirs / name).rename(theirs / f"{name} away")
            (theirs / name).symlink_to(mine / name)

    before = seen(mine)
    with monkeypatch.context() as patch:
        Interruption(patch.setattr, at, exchange)
        done = imgcluster(*command.split(), cwd=theirs)
    assert done.exit_code in {0, 1, 2}, done.output
    assert seen(mine) == before


def test_each_attack_that_is_told_of_has_a_test() -> None:
    tests = Path(__file__).parents[1]
    page = (tests.parent / "docs" / "security.md").read_text(encoding="utf-8")
    told = set(map(int, re.findall(r"\bS(\d+)\b", page.partition("## What was tried")[2])))
    assert told == set(range(1, 22))
    code = "".join(path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py"))
    assert told <= set(map(int, re.findall(r"(?:\bS|test_s)(\d+)(?=\b|_)", code)))


def _run(tmp_path_factory: pytest.TempPathFactory, album: Path, plan: dict[str, object]) -> None:
    root = tmp_path_factory.mktemp("attack")
    try:
        with pytest.MonkeyPatch.context() as patch:
            attack(root, album, plan, patch)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@attacks(8, new=False)
@given(plans)
def test_some_attacks(tmp_path_factory: pytest.TempPathFactory, album: Path, plan: dict[str, object]) -> None:
    _run(tmp_path_factory, album, plan)


@pytest.mark.long
@attacks(EXAMPLES, new=True)
@given(plans)
def test_thousands_of_attacks(
    tmp_path_factory: pytest.TempPathFactory, album: Path, plan: dict[str, object]
) -> None:
    """`make attack`."""
    _run(tmp_path_factory, album, plan)
