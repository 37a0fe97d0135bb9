"""What is shown, and that nothing of it is lost."""

from __future__ import annotations

import time

import pytest

from imgcluster.cli import console


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
    with console.progress() as progress:
        progress.note(NAMES)
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
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.02)


def lines_within(seconds: float, capsys: pytest.CaptureFixture[str], *, failed: int = 0) -> list[str]:
    with console.progress() as progress:
        progress.begin("embedding", 4000)
        progress.advance(1000, failed=failed)
        time.sleep(seconds)
    return capsys.readouterr().err.splitlines()


@pytest.mark.usefixtures("often")
def test_without_a_terminal_a_line_tells_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = lines_within(0.2, capsys, failed=3)
    assert len(lines) >= 2
    assert all("embedding: 1,000 of 4,000, 3 failed, about 1 minute left" in line for line in lines)
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_that_is_a_line_a_minute_and_none_in_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.LINE_SECONDS == 60
    assert lines_within(0.05, capsys) == []


@pytest.mark.usefixtures("often")
def test_a_stage_whose_length_is_not_known_is_told_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as progress:
        time.sleep(0.05)
        progress.begin("finding images")
        time.sleep(0.1)
        progress.advance(2000)
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("finding images")
    assert lines[-1].endswith("finding images: 2,000")
