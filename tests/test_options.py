"""What an option promises: one check with one message, on the command line and from Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import imgcluster
from imgcluster.errors import UsageError
from imgcluster.options import as_arguments
from imgcluster.workflows.options import ClusterOptions, CompareOptions, ExtractOptions, SweepOptions
from imgcluster.workflows.stored_files import chooser


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prepare": "pca"}, "--prepare pca is unknown: it is one of auto, l2, none"),
        ({"mode": "hardlnk"}, "did you mean hardlink?"),
        ({"restarts": -5}, "--restarts -5 is out of range: it must be at least 1"),
        ({"whiten": float("nan")}, "--whiten nan is out of range: it must lie between 0 and 1"),
        ({"k": 0}, "--k 0 is out of range"),
        ({"k": "few"}, "--k: few is neither a number from 1 on nor auto"),
        ({"seed": 1.5}, "--seed 1.5 is not a whole number"),
        ({"memory": "much"}, "--memory: much is not an amount of memory: write for example 2GB"),
        ({"force": "yes"}, "--force yes is not True or False"),
        ({"out": ""}, "--out is empty: name a folder"),
        ({"out": "a\0b"}, "--out 'a\\x00b' is a name that no file can have"),
        ({"store": "\ud800"}, "is a name that no file can have"),
        ({"k": True}, "--k True is not a whole number"),
        ({"store": ""}, "--store is empty: name a file"),
        ({"whiten": 1, "prepare": "l2"}, "--whiten needs --pca"),
        ({"space": "x", "network": ("a", "b")}, "choose one way"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_when_options_are_made(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        ClusterOptions(**options)  # type: ignore[arg-type]
    assert says in str(caught.value)
    with pytest.raises(UsageError, match="--"):
        imgcluster.cluster(**options)


def test_an_empty_path_is_not_the_current_folder() -> None:
    """It is an unset variable."""
    for looks_at in (
        imgcluster.extract,
        imgcluster.demo_images,
        imgcluster.similar,
        lambda path: chooser([path], ()),
    ):
        with pytest.raises(UsageError, match="a path is empty"):
            looks_at("")


@pytest.mark.parametrize("looks_at", [imgcluster.demo_images, imgcluster.similar])
def test_what_is_no_path_is_refused_as_that(looks_at: Callable[[object], object]) -> None:
    with pytest.raises(UsageError, match=r"\['a'\] is no path"):
        looks_at(["a"])


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "median"},
        {"precision": "float8"},
        {"input_size": 31},
        {"input_size": 4097},
        {"batch_size": 0},
    ],
    ids=str,
)
def test_of_extract_too(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ExtractOptions(**options)  # type: ignore[arg-type]


def test_texts_are_read_as_on_the_command_line() -> None:
    made = ClusterOptions(k="auto", memory="2GB", network="a", out=Path("x") / "y")  # type: ignore[arg-type]
    assert (made.k, made.memory, made.network, made.out) == (None, 2 * 10**9, ("a",), "x/y")
    assert SweepOptions(k="2:4").k == SweepOptions(k=range(2, 5)).k == (2, 3, 4)  # type: ignore[arg-type]
    assert CompareOptions(networks="a,b").networks == ("a", "b")  # type: ignore[arg-type]


def test_a_mistyped_option_names_the_nearest_one() -> None:
    with pytest.raises(TypeError, match=r"did you mean restarts\?"):
        imgcluster.cluster(restart=3)


def test_options_show_their_values() -> None:
    shown = repr(ClusterOptions(k=5))
    assert shown.startswith("ClusterOptions(")
    assert "k=5" in shown


def test_a_default_that_nobody_uses_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `sweep` gives as the command that clusters is of the store that was named."""
    monkeypatch.chdir(tmp_path)
    Path("features.h5").symlink_to(tmp_path.parent / "elsewhere.h5")
    typed = as_arguments(ClusterOptions, {"store": "other.h5", "seed": 0, "force": True})
    assert typed == ["--force", "--store", str(tmp_path / "other.h5")]


def test_what_a_clustering_is_not_made_of_is_not_recorded() -> None:
    recorded = ClusterOptions(seed=3, out="elsewhere", force=True, memory=10**9).recorded()
    assert recorded == {
        "k": 2,
        "seed": 3,
        "algorithm": "kmeans-or-mixture",
        "prepare": "auto",
        "mode": "auto",
        "store": "features.h5",
        "only_examples": False,
        "memory": 10**9,
    }


def test_the_command_line_says_the_same_and_as_json_too(tmp_path: Path) -> None:
    arguments = ("cluster", "--json", "--restarts", "-5")
    done = subprocess.run(
        [sys.executable, "-m", "imgcluster", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    says = "--restarts -5 is out of range: it must be at least 1"
    assert (done.returncode, done.stderr, done.stdout) == (2, f"{says}\n", f'{{"error": "{says}"}}\n')
