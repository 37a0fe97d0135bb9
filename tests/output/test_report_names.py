"""Any file name can be shown, linked and copied."""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from imgcluster.output.report_names import copied, decodable, shown, url

names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(names)
def test_a_shown_name_is_one_line_of_encodable_text(name: str) -> None:
    text = shown(name)
    assert text.encode("utf-8")
    assert len(text.splitlines()) == 1


@given(names)
def test_a_url_leads_back_to_the_bytes_of_the_name(name: str) -> None:
    assert unquote_to_bytes(url(name).removeprefix("file://")) == os.fsencode(name)
    assert url(name).isascii()
    assert ":" not in url(name).removeprefix("file://")


@given(names)
def test_what_is_copied_is_the_name_or_leads_to_it(name: str) -> None:
    path = f"/photos/{name}"
    text = decodable(copied(path))
    assert path in (text, os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))


@given(names)
def test_what_is_copied_runs_nothing_in_a_terminal(name: str) -> None:
    """S18: line breaks, escape sequences, commands behind a semicolon."""
    text = decodable(copied(f"/photos/{name}"))
    assert shown(text) == text
    assert not set(text) & set(";&|<>$`\\")
