"""Examples: a folder of folders, each of which names a cluster and shows what belongs there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from imgcluster.errors import UsageError
from imgcluster.images.find import find_images
from imgcluster.ownership import Ownership
from imgcluster.records import Progress
from imgcluster.workflows.choose_network import Choose
from imgcluster.workflows.edits import Edit, Edits, KeyOf, checked
from imgcluster.workflows.embedded_images import choose_spaces, open_store
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import ClusterOptions, ExtractOptions
from imgcluster.workflows.stored_network import stored_networks


@dataclass(frozen=True)
class Examples:
    """A folder of them: for each cluster, by its name, the files."""

    folder: str
    files: dict[str, tuple[str, ...]]

    def edits(self, key_of: KeyOf) -> Edits:
        """Say it as edits. UsageError where a cluster has no image, or an image is an example of two."""
        images: dict[bytes, tuple[str, str]] = {}
        for name, files in self.files.items():
            known = [(key, file) for file in files if (key := key_of(file)) is not None]
            if not known:
                raise UsageError(f"{os.path.join(self.folder, name)} holds no image that can be read")
            for key, file in known:
                other, first = images.setdefault(key, (name, file))
                if other != name:
                    raise UsageError(
                        f"{first} and {file} are the same image, an example of {other} and of {name}"
                    )
        return Edits(tuple(Edit(key, name) for key, (name, _) in images.items()))


def find_examples(folder: str, progress: Progress) -> Examples:
    """List a folder of folders. UsageError where it is none, or one has a name that no cluster can have."""
    folder = os.path.abspath(folder)
    try:
        inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}: name a folder of folders of examples") from error
    named = [name for name in inside if not name.startswith(".")]
    if not named:
        raise UsageError(f"{folder} holds no folders: each folder of examples names a cluster")
    files = {}
    for name in named:
        place = os.path.join(folder, name)
        found = find_images([place], progress=progress)
        files[checked(name, place)] = tuple(file.path for file in found.files)
    return Examples(folder, files)


def embed_examples(
    examples: Examples, options: ClusterOptions, choose: Choose, progress: Progress, owner: Ownership
) -> None:
    """Embed the examples that the store does not know, in each feature space."""
    with open_store(options, progress) as store:
        networks = stored_networks(store, choose_spaces(store, options), choose, progress.note)
        paths = {entry.path for entry in store.paths()}
    new = [file for files in examples.files.values() for file in files if file not in paths]
    for network in networks if new else ():
        writing = ExtractOptions(store=options.store, no_lock=options.no_lock, wait=options.wait or 0.0)
        extract(new, writing, source=network, owner=owner, progress=progress)
