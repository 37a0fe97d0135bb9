"""Numbered steps from each schema version to the next; a new store takes them all."""

from __future__ import annotations

from collections.abc import Callable

import h5py

from imgcluster.store import schema
from imgcluster.store.old_failures import with_codes
from imgcluster.store.schema import EARLIER_TABLES, TABLES
from imgcluster.store.table import append_entries, read_entries


def spaces_and_tables(file: h5py.File) -> None:
    """Lay out an empty file."""
    file.attrs["format"] = schema.FORMAT
    file.create_group(schema.SPACES)
    for table in ("paths", "failures", "folders", "runs"):
        schema.create_table(file, table, EARLIER_TABLES.get(table, TABLES[table]))


def failure_codes(file: h5py.File) -> None:
    """Give failures a code, and those of pictures that are too large the number of pixels."""
    entries = read_entries(schema.open_table(file, "failures"))
    if entries.damaged:
        raise ValueError(f"{entries.damaged} entries of the table of failures")
    del file["failures"]
    schema.create_table(file, "failures", TABLES["failures"])
    append_entries(file["failures"], with_codes(entries))


def pictures(file: h5py.File) -> None:
    """Make room for how images look; those that were read before have none yet."""
    schema.create_pictures(file)


def picture_keys(file: h5py.File) -> None:
    """Make the table from the key of a file to the digest of what makes its picture; `extract` fills it."""
    schema.create_table(file, "picture_keys", TABLES["picture_keys"])


MIGRATIONS: tuple[Callable[[h5py.File], None], ...] = (
    spaces_and_tables,
    failure_codes,
    pictures,
    picture_keys,
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
