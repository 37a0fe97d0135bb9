"""Numbered steps from each schema version to the next; a new store takes them all."""

from __future__ import annotations

from collections.abc import Callable

import h5py

from imgcluster.store.migrations import (
    m0001_spaces_and_tables,
    m0002_failure_codes,
    m0003_pictures,
    m0004_picture_keys,
)

MIGRATIONS: tuple[Callable[[h5py.File], None], ...] = (
    m0001_spaces_and_tables.migrate,
    m0002_failure_codes.migrate,
    m0003_pictures.migrate,
    m0004_picture_keys.migrate,
)
"""Step i leads from version i to version i + 1. Never change one that was released: add the next."""


def migrate(file: h5py.File) -> None:
    """Bring a store to the newest schema version."""
    for version in range(schema_version(file), len(MIGRATIONS)):
        MIGRATIONS[version](file)
        file.attrs["schema"] = version + 1


def schema_version(file: h5py.File) -> int:
    """Return the version that a store has; 0 for an empty file."""
    return int(file.attrs.get("schema", 0))
