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
