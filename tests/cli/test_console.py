"""What is shown, and that nothing of it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from imgcluster.cli import console, progress


def test_a_table_is_aligned_and_cuts_no_cell_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/photos/" + "x" * 300 + ".jpg"
    console.show_table(("cosine", "path"), [("1", path), ("0.25", "/写真.jpg")], numbers=(0,))
    assert capsys.readouterr().out.splitlines() == ["cosine  path", f"     1  {path}", "  0.25  /写真.jpg"]


def test_a_name_cannot_move_the_cursor_or_be_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table(("path",), [("[red]a\x1b[2J\n.jpg",)])
    assert capsys.readouterr().out.splitlines() == ["path", "[red]a\\x1b[2J\\n.jpg"]


NAMES = ":dog: [red]1 + 1.jpg"


def test_a_word_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(NAMES)
    console.note(NAMES)
    console.show_table(("path",), [(NAMES,)])
    console.show_failures([(NAMES, "why")])
    with progress.progress() as shown:
        shown.note(NAMES)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [NAMES, "path", NAMES]
    *said, timed = shown.err.splitlines()
    assert said == [NAMES, f"  {NAMES}: why"]
    assert timed.split(maxsplit=2)[2] == NAMES  # without a terminal, date and time stand before it


def test_a_long_list_names_the_option_that_shows_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [("a", "why")] * (console.MOST_FAILURES_SHOWN + 2)
    console.show_failures(failures)
    assert capsys.readouterr().err.splitlines()[-1] == "  … and 2 more; --json lists all"
    console.show_failures(failures, in_full="--failures FILE")
    assert capsys.readouterr().err.splitlines()[-1] == "  … and 2 more; --failures FILE lists all"


def test_json_is_written_whole_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="JSON"):
        console.show_json({"first": 1, "second": {2}})
    assert capsys.readouterr().out == ""


def test_a_number_that_is_not_defined_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_json({"rows": [{"silhouette": float("nan")}]})
    assert capsys.readouterr().out == '{"rows": [{"silhouette": null}]}\n'


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lines come often; this waits until one has told the state of now, whenever it comes."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.02)
    said, say_where = threading.Semaphore(0), progress.ConsoleProgress.say_where

    def say(progress: progress.ConsoleProgress) -> None:
        say_where(progress)
        said.release()

    def wait() -> None:
        while said.acquire(blocking=False):
            pass
        for _ in range(2):  # the first may have begun before
            assert said.acquire(timeout=60)

    monkeypatch.setattr(progress.ConsoleProgress, "say_where", say)
    return wait


def test_without_a_terminal_a_line_tells_now_and_then_how_far_it_is(
    told: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    with progress.progress() as shown:
        shown.begin("embedding", 4000)
        shown.advance(1000, failed=3)
        told()
        told()
        tellers = set(threading.enumerate()) - before
    for teller in tellers:
        teller.join(60)
        assert not teller.is_alive()
    for line in capsys.readouterr().err.splitlines()[-2:]:
        assert "embedding: 1,000 of 4,000, 3 failed, about 1 minute left" in line


def test_that_is_a_line_a_minute_and_none_in_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.LINE_SECONDS == 60
    with progress.progress() as shown:
        shown.begin("embedding", 4000)
        shown.advance(1000)
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_stage_whose_length_is_not_known_is_told_as_well(
    told: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress() as shown:
        told()
        shown.begin("finding images")
        told()
        shown.advance(2000)
        told()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("finding images")
    assert lines[-1].endswith("finding images: 2,000")
