"""A store that grows costs the same per row at its end as at its beginning."""

from __future__ import annotations

import os

import numpy as np
from power_loss import RecordingOs, install
from store_helpers import DIMENSION, SPACE

from imgcluster.records import PathEntry
from imgcluster.store.store import FeatureStore

COMMIT = 200


def test_as_much_is_written_for_the_last_thousand_rows_as_for_the_first(tmp_path, monkeypatch):
    """Report C2; bytes are counted, for they decide the time and are the same on every machine."""

    class Counting(RecordingOs):
        written = 0

        def pwrite(self, descriptor, data, offset):
            written = os.pwrite(descriptor, data, offset)
            self.written += written
            return written

    counting = Counting()
    install(monkeypatch, counting)
    random = np.random.default_rng(0)
    bytes_per_thousand = []
    with FeatureStore(tmp_path / "features.h5", "a") as store:
        store.add_space(SPACE, DIMENSION)
        for thousand in range(20):
            before = counting.written
            for start in range(1000 * thousand, 1000 * (thousand + 1), COMMIT):
                keys = random.integers(0, 256, (COMMIT, 32), np.uint8)
                store.append(SPACE.name, keys, np.zeros((COMMIT, DIMENSION), np.float32))
                names = [f"/photos/{start + i:064}.jpg" for i in range(COMMIT)]
                store.record_paths(
                    PathEntry(name, 1, 2, 3, bytes(key)) for name, key in zip(names, keys, strict=True)
                )
                store.commit()
            bytes_per_thousand.append(counting.written - before)
    assert np.mean(bytes_per_thousand[-3:]) < 1.5 * np.mean(bytes_per_thousand[1:4])
