from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.output.paths import PathTexts, absolute, below

parts = st.lists(
    st.sampled_from(["a", "b", "=x", "-", "\udce9", " ", ".a", "...", "a\nb"]), min_size=1, max_size=5
)


@given(parts, parts)
def test_paths_come_back_as_they_were(path, base):
    path, base = "/" + "/".join(path), "/" + "/".join(base)
    text = PathTexts(base).text(path)
    assert text.startswith(("./", "/"))
    assert absolute(text, base) == path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/home/me/photos/a.jpg", "./../photos/a.jpg"),
        ("/home/me/a.jpg", "./../a.jpg"),
        ("/home/me/clusters/0/a.jpg", "./0/a.jpg"),
        ("/home/me/clusters/a.jpg", "./a.jpg"),
        ("/mnt/a.jpg", "/mnt/a.jpg"),
        ("/a.jpg", "/a.jpg"),
    ],
)
def test_relative_where_both_lie_together(path, text):
    assert PathTexts("/home/me/clusters").text(path) == text


@pytest.mark.parametrize("text", ["", "a.jpg", "../a.jpg", "~/a.jpg", "./a\0b"])
def test_other_texts_are_no_paths(text):
    with pytest.raises(ValueError, match="not a path"):
        absolute(text, "/base")


@pytest.mark.parametrize(
    "text",
    ["", ".", "./", "a", "/a", "./..", "./../a", "./a/../../b", "./a//b", "./a/", "./a/.", "././a", "./a\0"],
)
def test_nothing_leads_out_of_a_folder(text):
    with pytest.raises(ValueError, match="not a path below"):
        below(text)


@given(st.text(alphabet="./ab\0", max_size=12))
def test_what_is_below_stays_below(text):
    try:
        relative = below(text)
    except ValueError:
        return
    assert os.path.normpath(f"/base/{relative}") == f"/base/{relative}"
    assert text == f"./{relative}"
