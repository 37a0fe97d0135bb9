"""What is shown, and that nothing of it is lost."""

from __future__ import annotations

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
