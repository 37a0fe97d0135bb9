"""The store's own commands: what is in it, is it sound, and other shapes of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.store.export import EXPORTERS
from imgcluster.store.merge import merge
from imgcluster.store.migrations import MIGRATIONS
from imgcluster.store.prune import prune
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from imgcluster.records import Notify, Run, StoredSpace
    from imgcluster.workflows.collection import SpaceChoice

__all__ = ["EXPORT_FORMATS", "StoreInfo", "export", "info", "merge", "prune", "repair", "verify"]

EXPORT_FORMATS = tuple(EXPORTERS)


@dataclass(frozen=True)
class StoreInfo:
    """What is in a store; `bytes` is the size of its file, `runs` the extractions, oldest first."""

    schema: int
    bytes: int
    paths: int
    failures: int
    spaces: tuple[StoredSpace, ...]
    runs: tuple[Run, ...]


def info(store: str, *, lock: bool = True, notify: Notify | None = None) -> StoreInfo:
    """Describe a store. Raises StoreError where there is none."""
    with FeatureStore(store, lock=lock, notify=notify) as features:
        return StoreInfo(
            schema=len(MIGRATIONS),
            bytes=os.path.getsize(store),
            paths=len(features.paths()),
            failures=len(features.failures()),
            spaces=features.spaces,
            runs=features.runs(),
        )


def export(where: SpaceChoice, out: str, form: str, *, notify: Notify = lambda _: None) -> StoredSpace:
    """Write one feature space for other programs, in one of `EXPORT_FORMATS`.

    Raises
    ------
    StoreError
        There is no such store or space, or `out` cannot be written.
    """
    with where.open(notify) as (store, space):
        EXPORTERS[form](store, space.name, out)
    return space
