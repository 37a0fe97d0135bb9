"""The whole program: start-up, modules loaded, exit codes, what goes to which stream."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import in_process
import pytest
from fakes import write_images
from typer.testing import CliRunner

from imgcluster.cli.app import app
from imgcluster.machine import default_memory

HEAVY = ("tensorflow", "keras", "openvino", "cv2", "h5py", "sklearn", "bokeh", "jinja2", "matplotlib")


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a store that the real command line made."""
    folder = tmp_path_factory.mktemp("embedded")
    write_images(folder / "photos", 3, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    extract = ("extract", "photos", "--network", "efficientnet_lite0", "--json")
    done = python("-m", "imgcluster", *extract, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] == 6
    return folder


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    program = """
import contextlib, sys
from imgcluster.cli.app import main
for command in ("", "cluster", "duplicates", "store merge"):
    sys.argv = ["imgcluster", *command.split(), "--help"]
    with contextlib.suppress(SystemExit):
        main()
print("loaded:", *sys.modules)
"""
    said, _, loaded = python("-c", program, cwd=tmp_path).stdout.partition("loaded: ")
    assert said.count("Usage: imgcluster ") == 4
    assert not set(loaded.split()) & {*HEAVY, "numpy", "pydantic"}


def test_the_list_of_commands_needs_neither_their_options_nor_bars(tmp_path: Path) -> None:
    program = """
import contextlib, sys
from imgcluster.cli import app
app.as_command = None
sys.argv = ["imgcluster", "--help"]
with contextlib.suppress(SystemExit):
    app.main()
print("loaded:", *sys.modules)
"""
    said, _, loaded = python("-c", program, cwd=tmp_path).stdout.partition("loaded: ")
    assert "Sort the embedded images" in said
    assert "rich" not in loaded.split()


def test_help_answers_at_once(tmp_path: Path) -> None:
    """The promise is 0.3 s on an idle machine; a busy or slow one takes longer for Python's own, too."""

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        assert python(*arguments, cwd=tmp_path).returncode == 0
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    help_, own = ("-m", "imgcluster", "--help"), ("-c", "import asyncio")
    assert any(seconds(*help_) < max(0.7, 5 * seconds(*own)) for _ in range(3))


@pytest.fixture(scope="module")
def clustered(embedded: Path) -> Path:
    """The same folder, with a clustering in `known`."""
    in_process.answer("cluster", "--k", "2", "--out", "known", cwd=embedded)
    return embedded


COMMANDS = (
    ("cluster", "--k", "2", "--restarts", "1"),
    ("sweep", "--k", "2", "--restarts", "1"),
    ("evaluate", "--clusters", "known"),
    ("report", "--clusters", "known"),
    ("assign", "photos", "--clusters", "known"),
    ("similar", "photos/red/red0.png"),
    ("duplicates",),
    ("store", "info"),
    ("store", "export", "-o", "features.npz"),
    ("extract", "photos", "--network", "efficientnet_lite0"),
)
ONE_AFTER_THE_OTHER = """
import json, sys
from imgcluster.cli.app import app
for command in json.loads(sys.argv[1]):
    code = app(command, standalone_mode=False)
    assert not code, command
    assert not {"tensorflow", "keras", "openvino"} & set(sys.modules), command
"""


def test_no_command_loads_a_network_that_it_does_not_run(clustered: Path) -> None:
    arguments = ("-c", ONE_AFTER_THE_OTHER, json.dumps(COMMANDS))
    done = python(*arguments, cwd=clustered)
    assert done.returncode == 0, done.stderr


def test_a_folder_without_anything_new_loads_no_decoder(embedded: Path) -> None:
    for path in (embedded / "photos").rglob("*.png"):
        os.utime(path, (10**9, 10**9))
    extract = ["extract", "photos", "--network", "efficientnet_lite0"]
    in_process.answer(*extract, cwd=embedded)
    program = f"""
import sys
from imgcluster.cli.app import app
assert not app({extract}, standalone_mode=False)
assert "h5py" in sys.modules
print({{"cv2", "PIL", "ssl", "ray"}} & set(sys.modules))
"""
    done = python("-c", program, cwd=embedded)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "set()"), done.stderr


def test_clusters_hold_the_files_byte_for_byte(embedded: Path) -> None:
    done = in_process.imgcluster("cluster", "--k", "2", "--out", "sorted", "--json", cwd=embedded)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["k"], result["images"], sum(result["sizes"])) == (2, 6, 6)
    options = json.loads((embedded / "sorted/clustering.json").read_text())["options"]
    assert options["memory"] == default_memory()
    originals = sorted(path.read_bytes() for path in (embedded / "photos").rglob("*.png"))
    assert sorted(path.read_bytes() for path in (embedded / "sorted").rglob("*.png")) == originals


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("extract", "nowhere"), 1, "nowhere"),
        (("extract", "phtos"), 1, "phtos does not exist (did you mean photos?)"),
        (("cluster", "phtos"), 1, "phtos does not exist (did you mean photos?)"),
        (("extract", "empty"), 1, "no image found"),
        (("cluster", "--k", "0"), 2, "auto"),
        (("cluster", "--k", "100"), 1, "100"),
        (("cluster", "--k", "2", "--store", "nowhere.h5"), 1, "nowhere.h5"),
        (("cluster", "--k", "2", "--store", "text.h5"), 1, "text.h5"),
        (("cluster", "--k", "2", "--mode", "teleport"), 2, "teleport"),
        (("extract", "photos", "--network", "alexnet"), 2, "alexnet"),
        (("extract", "photos", "--weights=~/none.h5"), 1, os.path.expanduser("~/none.h5")),
        (("cluster", "--memory", "inf"), 2, "inf is not an amount of memory"),
        (("store", "info", "--store", "photos"), 1, "photos"),
        (("evaluate", "--clusters", "nowhere"), 1, "nowhere"),
        (("cluster", "--space", "x", "--network", "a", "--network", "b"), 2, "--space"),
        (("sweep", "--network", "efficientnet_lite0", "--network", "efficientnet_lite0"), 2, "twice"),
        (("cluster", "--clusters", "nowhere"), 1, "nowhere"),
        (("store", "prune", "--clusters", "nowhere"), 1, "nowhere"),
        (("compare", "nowhere", "--networks", "efficientnet_lite0"), 1, "nowhere"),
        (("compare", "photos", "--networks", "vgg16,alexnet"), 2, "alexnet"),
        (("compare", "photos", "--algorithms", "guessing"), 2, "guessing"),
        (
            ("sweep", "--k", "2", "--restarts", "1", "--plot", "nowhere/x.png"),
            1,
            "nowhere/x.png: No such file",
        ),
        (("store", "export", "-o", "features.h5"), 1, "features.h5 holds something else"),
        (("demo-images", "text.h5/x"), 1, "text.h5/x: Not a directory"),
        (("frobnicate",), 2, "frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_foreseeable_mistake_is_one_line_and_an_exit_code(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (embedded / "empty").mkdir(exist_ok=True)
    (embedded / "text.h5").write_text("no HDF5 at all")
    monkeypatch.chdir(embedded)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("extract", "nowhere"),
        ("cluster", "--k", "0"),
        ("cluster", "--stroe", "x"),
        ("contact-sheet",),
        ("store", "merge", "a"),
        ("sweep", "--plot"),
        ("frobnicate",),
        ("store", "frobnicate"),
        ("--frobnicate",),
    ],
    ids=" ".join,
)
def test_under_json_stdout_holds_the_error_of_wrong_usage_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = 2 if arguments[0] == "store" else 1
    done = CliRunner().invoke(app, [*arguments[:name], "--json", *arguments[name:]])
    assert done.exit_code == (1 if arguments[0] == "extract" else 2)
    assert json.loads(done.stdout)["error"]
    assert CliRunner().invoke(app, arguments).stdout == ""


def test_on_windows_one_line_says_what_runs_it(tmp_path: Path) -> None:
    program = "import os; from imgcluster.cli.app import main; os.name = 'nt'; main()"
    done = python("-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "WSL" in done.stderr


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"imgcluster {version('imgcluster')}\n"


def test_where_no_file_can_be_read_each_is_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"text")
    options = ("--network", "efficientnet_lite0", "--failures", "failed.csv")
    done = in_process.imgcluster("extract", "photos", *options, "--json", cwd=tmp_path)
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert "nothing could be read; the first of 2: " in answer["error"]
    assert [failure["path"].rpartition("/")[2] for failure in answer["failures"]] == ["a.jpg", "b.jpg"]
    assert len((tmp_path / "failed.csv").read_text().splitlines()) == 3
    done = in_process.imgcluster("extract", "photos", *options, cwd=tmp_path)
    assert "b.jpg: " in done.stderr


def test_strict_turns_a_failed_file_into_exit_1_after_the_rest_is_done(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 1, {"green": (30, 200, 30)})
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"text")
    options = ("--network", "efficientnet_lite0", "--json", "--strict")
    done = in_process.imgcluster("extract", "photos", *options, "--failures", "failed.csv", cwd=tmp_path)
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert (result["new"], result["failed"]) == (1, 1)
    assert result["failures"][0]["path"].endswith("broken.jpg")
    assert "broken.jpg" in (tmp_path / "failed.csv").read_text()


def test_a_report_without_its_libraries_is_refused_before_anything_is_moved(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(embedded / "photos", tmp_path / "photos")
    shutil.copy(embedded / "features.h5", tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setitem(sys.modules, "bokeh", None)
    done = in_process.imgcluster("cluster", "--mode", "move", "--report", cwd=tmp_path)
    assert done.exit_code == 1
    assert ".[report]'" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_says_that_it_writes_no_report(embedded: Path) -> None:
    done = in_process.imgcluster("cluster", "--out", "none", "--dry-run", "--report", "--json", cwd=embedded)
    assert (done.exit_code, json.loads(done.stdout)["report"]) == (0, None)
    assert "a dry run writes no report" in done.stderr


def test_assign_takes_the_network_of_the_clustering_and_lists_what_failed(clustered: Path) -> None:
    embedded = clustered
    write_images(embedded / "new", 1, {"red": (190, 40, 30)})
    (embedded / "new/red/broken.png").write_bytes(b"text")
    done = in_process.imgcluster("assign", "new", "--clusters", "known", "--json", cwd=embedded)
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [image["path"].rpartition("/")[2] for image in answer["images"]] == ["red0.png"]
    assert (answer["new"], answer["failed"]) == (1, 1)
    assert answer["failures"][0]["path"].endswith("broken.png")
    done = in_process.imgcluster("assign", "new", "--clusters", "known", cwd=embedded)
    assert "1 image, 1 failed" in done.stdout
    assert "broken.png: not an image" in done.stderr


def test_networks_lists_the_catalogue(tmp_path: Path) -> None:
    names = [network["name"] for network in in_process.answer("networks", cwd=tmp_path)["networks"]]
    assert names[0] == "inception_v3"
    assert {"vgg16", "vgg19", "resnet152", "efficientnet_lite0", "efficientnet_lite2"} <= set(names)


def test_a_fault_of_ours_ends_as_an_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("imgcluster.workflows.extraction_plan.find_images", fault)
    done = in_process.imgcluster("extract", ".", "--json", "--log", "log.txt", cwd=tmp_path)
    assert done.exit_code == 1
    error = json.loads(done.stdout)["error"]
    assert re.match(r"a fault of imgcluster, ZeroDivisionError in test_command_line.py:\d+: by zero", error)
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" in (tmp_path / "log.txt").read_text()
