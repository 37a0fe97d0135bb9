"""What is kept of how each image looks, beside its embeddings; images that were read before have none yet."""

from __future__ import annotations

import h5py

from imgcluster.store import schema


def migrate(file: h5py.File) -> None:
    """Make room for it."""
    schema.create_pictures(file)
