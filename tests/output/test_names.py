from __future__ import annotations

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from imgcluster.output.names import distinct_names, tagged

KEY, OTHER = b"\x1a\x2b\x3c\x4d" + b"\0" * 28, b"\x99" * 32

# A few letters, so that names and keys meet often: é in both compositions, ß, bytes that are not UTF-8.
letters = st.sampled_from(["a", "A", "é", "e\u0301", "ß", "ss", "\udce9", "-1a2b3c4d", "-2", "."])
names = st.lists(letters, min_size=1, max_size=4).map("".join).filter(lambda name: name.strip("."))
files = st.lists(st.tuples(names, st.sampled_from([KEY, OTHER, b"\x1a\x2b\x3c\x4d" * 8])), max_size=12)


def with_paths(named):
    return [(name, key, f"/photos/{i}/{name}") for i, (name, key) in enumerate(named)]


def folded(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def test_a_name_that_nobody_else_wants_stays():
    assert distinct_names([("IMG.jpg", KEY, "/a/IMG.jpg"), ("img2.jpg", KEY, "/b/img2.jpg")]) == [
        "IMG.jpg",
        "img2.jpg",
    ]


def test_names_that_collide_get_digits_of_their_keys():
    wanted = [("IMG_1.jpg", KEY, "/a/IMG_1.jpg"), ("img_1.JPG", OTHER, "/b/img_1.JPG")]
    assert distinct_names(wanted) == ["IMG_1-1a2b3c4d.jpg", "img_1-99999999.JPG"]


def test_equal_files_of_one_name_are_numbered_by_their_paths():
    assert distinct_names([("x.jpg", KEY, f"/{p}/x.jpg") for p in "cab"]) == [
        "x-1a2b3c4d-3.jpg",
        "x-1a2b3c4d.jpg",
        "x-1a2b3c4d-2.jpg",
    ]


def test_a_long_name_is_cut_between_characters_and_keeps_extension_and_hash():
    name = "é" * 130 + ".jpeg"
    (short,) = distinct_names([(name, KEY, f"/{name}")])
    assert len(os.fsencode(short)) <= 255
    assert short == "é" * 120 + "-1a2b3c4d.jpeg"


@given(files, st.sampled_from([255, 30]))
def test_no_two_names_meet_and_each_fits(named, limit):
    given_names = distinct_names(with_paths(named), limit)
    assert len({folded(name) for name in given_names}) == len(named)
    assert all(0 < len(os.fsencode(name)) <= limit and "/" not in name for name in given_names)


@given(files, st.randoms())
def test_names_do_not_depend_on_the_order(named, random):
    wanted = with_paths(named)
    shuffled = random.sample(wanted, len(wanted))
    assert dict(zip(shuffled, distinct_names(shuffled), strict=True)) == dict(
        zip(wanted, distinct_names(wanted), strict=True)
    )


@given(
    st.text(alphabet=st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1),
    names,
)
def test_a_tag_never_breaks_a_character(stem, tail):
    name = tagged(stem + tail, "0" * 8, 40)
    assert len(os.fsencode(name)) <= 40
    assert name.split("-00000000")[0] in stem + tail
