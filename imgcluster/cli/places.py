"""What is this user's and this machine's: folders, and the networks there; nothing below looks for them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs

from imgcluster.ownership import Ownership

if TYPE_CHECKING:
    from imgcluster.networks.choice import NetworkChoice
    from imgcluster.networks.weights import NetworkPlaces
    from imgcluster.records import NetworkSource, Notify, Progress

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Runner:
    """Runs workflows for this user."""

    progress: Progress

    def __post_init__(self) -> None:
        """Say of a user without a home that it is nowhere, for libraries give up where nothing is said."""
        if not os.path.isabs(os.path.expanduser("~")):
            os.environ["HOME"] = "/nonexistent"

    def __call__(self, workflow: Callable[..., _Result], *arguments: Any, **more: Any) -> _Result:
        """Call a workflow; what is this user's it gets by the names of its parameters."""
        mine: dict[str, Callable[[], object]] = {
            "progress": lambda: self.progress,
            "owner": ownership,
            "choose": lambda: choose_network,
            "thumbnails": thumbnail_folder,
            "places": network_places,
        }
        asked = inspect.signature(workflow).parameters
        return workflow(*arguments, **{name: mine[name]() for name in mine.keys() & asked.keys()} | more)

    def report_again(self, clusters: str, **more: Any) -> str | None:
        """Make the report of a changed clustering; its page, or None, and a line, where that cannot be."""
        from imgcluster.workflows.report import report_again

        return self(report_again, clusters, **more)


def thumbnail_folder() -> str:
    """Return where thumbnails are kept from one report to the next."""
    return os.path.join(cache_folder(), "thumbnails")


def ownership() -> Ownership:
    """Return what signs this user's clusterings and knows them again: one for all that a process does."""
    return _owner(platformdirs.user_state_dir("imgcluster"))


@cache
def _owner(folder: str) -> Ownership:
    return Ownership(folder)


def network_places() -> NetworkPlaces:
    """Return where weights and converted models are kept, and which weights are usual here.

    Those of Keras are shared with Keras.
    """
    from imgcluster.networks.weights import NetworkPlaces

    keras_home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    weights = os.environ.get("IMGCLUSTER_WEIGHTS")
    return NetworkPlaces(keras_home, cache_folder(), weights=weights and os.path.expanduser(weights))


def choose_network(choice: NetworkChoice, notify: Notify) -> NetworkSource:
    """Make a network source of a choice, with the weights and models of this user."""
    from imgcluster.workflows import choose_network as workflow

    return workflow.choose_network(choice, notify, network_places())


def cache_folder() -> str:
    """Return where is kept what can be made again: thumbnails and converted models."""
    return platformdirs.user_cache_dir("imgcluster")
