from __future__ import annotations

import time

import pytest
from child_functions import dies, echo, hangs, is_killed, raises

from imgcluster.engines.child import ChildDied, call_in_child
from imgcluster.engines.local import TimedOut


def test_the_answer_comes_back_whatever_else_is_written_to_stdout():
    assert call_in_child(echo, {"text": "ä\n\udcff"}, 60) == b"\xc3\xa4\n\xff"


@pytest.mark.parametrize(
    ("function", "how"), [(dies, "exit status 7"), (is_killed, "SIGSEGV"), (raises, "exit status 1")]
)
def test_a_death_says_how(function, how):
    with pytest.raises(ChildDied, match=how):
        call_in_child(function, {}, 60)


def test_one_that_hangs_is_ended():
    start = time.monotonic()
    with pytest.raises(TimedOut, match=r"0\.2 s"):
        call_in_child(hangs, {}, 0.2)
    assert time.monotonic() < start + 20
