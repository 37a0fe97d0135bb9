"""What a damaged file looks like from here."""

from __future__ import annotations

from imgcluster.errors import StoreError

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)
"""What h5py raises, at one place or another, for a file whose structure is damaged."""


def damaged(path: str, error: BaseException) -> StoreError:
    """Make the error for a store that HDF5 cannot read."""
    return StoreError(
        f"{path} is damaged ({str(error) or type(error).__name__}): run `imgcluster store repair`"
    )
