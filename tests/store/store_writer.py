"""A writer to be killed: appends batches for ever, and notes each one outside the store once it is committed.

Usage: store_writer.py STORE NOTES BATCH_SIZE DIMENSION
"""

from __future__ import annotations

import os
import sys

from store_helpers import SPACE, write_batch

from imgcluster.store.store import FeatureStore


def write_for_ever(path: str, notes: str, size: int, dimension: int) -> None:
    """Write until killed."""
    note = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with FeatureStore(path, "a") as store:
        number = store.add_space(SPACE, dimension).rows // size
        while True:
            write_batch(store, number, size, dimension, os.path.dirname(path))
            store.commit()
            number += 1
            os.write(note, f"{number}\n".encode())


if __name__ == "__main__":
    write_for_ever(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
