"""The store's own commands: what is in it, is it sound, what can go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.store.merge import merge
from imgcluster.store.migrations import MIGRATIONS
from imgcluster.store.prune import prune
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from imgcluster.records import Notify, Run, StoredSpace

__all__ = ["StoreInfo", "info", "merge", "prune", "repair", "verify"]


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
