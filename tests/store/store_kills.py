"""Kill a real writer again and again on one store: store_kills.py [ROUNDS] [BATCH_SIZE] [DIMENSION]."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass

from forks import end_of, fork
from store_helpers import assert_holds_batches
from store_writer import write_for_ever

from imgcluster.store.store import FeatureStore
from imgcluster.store.wal import is_checkpointed


@dataclass
class Outcome:
    """What came of it."""

    rounds: int = 0
    batches: int = 0
    recoveries: int = 0


def kill_writers(folder: str, rounds: int, size: int, dimension: int, seed: int) -> Outcome:
    """Start a writer, kill it at a random moment, check every committed row; all on the same store."""
    path, notes = os.path.join(folder, "features.h5"), os.path.join(folder, "notes")
    random_ = random.Random(seed)
    outcome = Outcome()
    for number in range(rounds):
        before = _size(notes)
        writer = fork(lambda: write_for_ever(path, notes, size, dimension))
        if number % 2:  # on a busy machine none would get as far as to a commit
            _wait_for_note(notes, before)
        time.sleep(random_.uniform(0, 0.2))
        os.kill(writer, signal.SIGKILL)
        assert end_of(writer) == -signal.SIGKILL, "the writer ended by itself"
        outcome.rounds += 1
        if os.path.exists(path):
            committed = _last_note(notes)
            outcome.recoveries += not is_checkpointed(path)
            with FeatureStore(path) as store:
                if not store.spaces:
                    assert committed == 0
                    continue
            # A kill between a commit and its note leaves a batch that only the last check has seen.
            safe = max(committed, outcome.batches)
            outcome.batches = assert_holds_batches(path, safe, size, dimension, folder)
            assert outcome.batches <= safe + 1
    return outcome


def _wait_for_note(notes: str, before: int) -> None:
    until = time.monotonic() + 30
    while _size(notes) == before and time.monotonic() < until:
        time.sleep(0.005)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _last_note(notes: str) -> int:
    with open(notes) as file:  # made before the store
        return max((int(line) for line in file), default=0)


def main() -> None:
    """Run and print."""
    rounds, size, dimension = ([int(a) for a in sys.argv[1:]] + [100, 16, 256][len(sys.argv) - 1 :])[:3]
    with tempfile.TemporaryDirectory() as folder:
        print(kill_writers(folder, rounds, size, dimension, seed=time.time_ns()))


if __name__ == "__main__":
    main()
