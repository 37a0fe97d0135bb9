from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from child_functions import dies, echo, hangs, import_path, is_killed, raises, raises_unportable
from fakes import write_images

from imgcluster.child import ChildDied, TimedOut, call_in_child
from imgcluster.errors import FailureCode, UnreadableImage

HOSTILE = (
    "json",
    "numpy",
    "cv2",
    "site",
    "sitecustomize",
    "usercustomize",
    "typing",
    "pickle",
    "signal",
    "h5py",
)


def test_the_answer_comes_back_whatever_else_is_written_to_stdout() -> None:
    assert call_in_child(echo, "ä\n\udcff", timeout=60) == b"\xc3\xa4\n\xff"


def test_a_death_says_how() -> None:
    with pytest.raises(ChildDied, match="exit status 7") as death:
        call_in_child(dies, timeout=60)
    assert death.value.signal is None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_signal_is_named_and_told(number: signal.Signals) -> None:
    with pytest.raises(ChildDied, match=number.name) as death:
        call_in_child(is_killed, number, timeout=60)
    assert death.value.signal == number


def test_an_error_comes_back_whole() -> None:
    with pytest.raises(UnreadableImage, match="stalled") as refusal:
        call_in_child(raises, UnreadableImage("stalled", FailureCode.IO_ERROR))
    assert refusal.value.code == FailureCode.IO_ERROR
    with pytest.raises(OSError, match="no room") as error:
        call_in_child(raises, OSError(28, "no room"))
    assert error.value.errno == 28


def test_an_error_that_cannot_be_handed_over_is_told() -> None:
    with pytest.raises(RuntimeError, match="Unportable: not foreseen"):
        call_in_child(raises_unportable)


def test_one_that_hangs_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(TimedOut, match=r"0\.2 s"):
        call_in_child(hangs, timeout=0.2)
    assert time.monotonic() < start + 20


def test_a_child_never_imports_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for entry in ("", ".", str(tmp_path)):
        monkeypatch.syspath_prepend(entry)
    path = call_in_child(import_path)
    assert not {"", ".", str(tmp_path)} & set(path)


@pytest.fixture
def booby_trapped(tmp_path: Path) -> Path:
    """A folder of downloads with one picture, and modules that leave a mark when anything imports them."""
    write_images(tmp_path, 1, {"red": (200, 30, 30)})
    mark = f"open({str(tmp_path / 'mark')!r}, 'a').write(__name__ + ' ')\n"
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(mark)
    return tmp_path


@pytest.mark.slow
def test_nothing_that_lies_in_the_working_folder_is_run(booby_trapped: Path) -> None:
    """Neither by the command nor by its children: one converts the network, one reads a suspect again."""
    arguments = ("extract", "--network", "efficientnet_lite0", "--weights", "random", "--input-size", "32")
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(booby_trapped / "empty cache"),
        "KERAS_HOME": str(booby_trapped / "no keras"),
    }
    for start in (("-m", "imgcluster"), (str(Path(sys.executable).with_name("imgcluster")),)):
        store = booby_trapped / f"{len(start)}.h5"
        suspect = str(booby_trapped / "red" / "red0.png")
        Path(f"{store}.inflight").write_bytes(os.fsencode(suspect).ljust(4096, b"\0"))
        done = subprocess.run(
            [sys.executable, *start, *arguments, "--store", store.name],
            cwd=booby_trapped,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "1 new" in done.stdout
        assert not (booby_trapped / "mark").exists(), (booby_trapped / "mark").read_text()
