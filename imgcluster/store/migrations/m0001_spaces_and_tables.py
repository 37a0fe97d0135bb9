"""The first layout: feature spaces, and the tables of paths, failures, scanned folders and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.store import schema

if TYPE_CHECKING:
    import h5py


def migrate(file: h5py.File) -> None:
    """Lay out an empty file."""
    file.attrs["format"] = schema.FORMAT
    file.create_group(schema.SPACES)
    for table in ("paths", "failures", "folders", "runs"):
        schema.create_table(file, table)
