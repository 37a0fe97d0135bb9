from __future__ import annotations

import pytest
from store_kills import kill_writers


def test_no_committed_row_is_lost_when_writers_are_killed(tmp_path):
    outcome = kill_writers(str(tmp_path), rounds=15, size=8, dimension=128, seed=1)
    assert outcome.batches > 0
    assert outcome.recoveries > 0, "no kill left anything to recover"


@pytest.mark.long
@pytest.mark.parametrize(("size", "dimension", "rounds"), [(8, 32, 60), (32, 2048, 60)])
def test_no_committed_row_is_lost_in_many_kills(tmp_path, size, dimension, rounds):
    outcome = kill_writers(str(tmp_path), rounds=rounds, size=size, dimension=dimension, seed=2)
    assert outcome.recoveries > 0
