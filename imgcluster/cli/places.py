"""Folders of this user and machine."""

from __future__ import annotations

import os

import platformdirs


def thumbnail_folder() -> str:
    """Return where thumbnails are kept from one report to the next."""
    return os.path.join(platformdirs.user_cache_dir("imgcluster"), "thumbnails")
