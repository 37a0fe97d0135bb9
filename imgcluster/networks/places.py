"""Where weights and converted models are kept; whoever calls knows, no module here looks around."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.networks.download import CONNECT_SECONDS

if TYPE_CHECKING:
    from imgcluster.networks.catalog import PublishedWeights


@dataclass(frozen=True)
class NetworkPlaces:
    """Folders for what networks need, and how long to try a server.

    Attributes
    ----------
    keras_home
        The folder that Keras uses; published weights are looked for there, and kept there once fetched.
    cache
        The folder for converted and quantised models.
    """

    keras_home: str | None = None
    cache: str | None = None
    seconds: float = CONNECT_SECONDS

    def published_file(self, published: PublishedWeights) -> str:
        """Return the path at which Keras keeps a file of weights. ImgclusterError without a folder."""
        if self.keras_home is None:
            raise ImgclusterError(
                f"no folder is known to keep {published.file_name} in: name its file with --weights"
            )
        return os.path.join(os.path.abspath(self.keras_home), "models", published.file_name)

    @property
    def models(self) -> str | None:
        """The folder of converted models, if there is one."""
        return None if self.cache is None else os.path.join(os.path.abspath(self.cache), "models")


NOWHERE = NetworkPlaces()
