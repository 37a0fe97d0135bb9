"""Sort a folder of images by what they show.

`extract` embeds images once and keeps the embeddings in a feature store; `cluster` sorts them into folders as
often as you like. Names are loaded on first use, so that importing the package costs nothing.
"""

# ruff: noqa: F403, F405 - the functions of the api are here
# `python -m imgcluster` comes here before the working folder is off the path (see __main__): only what the
# interpreter itself has loaded by then may be imported.
import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgcluster.api import *
    from imgcluster.errors import ImgclusterError
    from imgcluster.networks.own import network

    __version__: str
    from imgcluster.store.store import FeatureStore

__all__ = [
    "FeatureStore",
    "ImgclusterError",
    "assign",
    "cluster",
    "compare",
    "contact_sheet",
    "correct",
    "demo_images",
    "diff",
    "duplicates",
    "evaluate",
    "extract",
    "inventory",
    "list_networks",
    "merge",
    "name",
    "network",
    "pick",
    "report",
    "similar",
    "store_cache",
    "store_export",
    "store_info",
    "store_merge",
    "store_prune",
    "store_repair",
    "store_verify",
    "sweep",
    "undo",
]

_ELSEWHERE = {
    "FeatureStore": "imgcluster.store.store",
    "ImgclusterError": "imgcluster.errors",
    "network": "imgcluster.networks.own",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("imgcluster")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "imgcluster.api")), name)
