"""Whoever's images are gone hears what may have become of them, and what to do."""

from __future__ import annotations

import shutil

import pytest
from clusterings import Desk
from fakes import FakeSource

from imgcluster.errors import ImgclusterError
from imgcluster.store.prune import prune


def test_a_renamed_folder_is_named_and_found_again_without_the_network(desk: Desk) -> None:
    desk.photos.rename(desk.folder / "renamed")
    with pytest.raises(
        ImgclusterError, match=r"15 images gone since extraction, .*: `imgcluster extract "
    ) as e:
        desk.cluster()
    assert f"`imgcluster extract {desk.folder}/renamed` finds them again without the network" in str(e.value)
    assert "prune" not in str(e.value)
    source = FakeSource()
    desk.extract(desk.folder / "renamed", source=source)
    assert source.loads == 0
    assert desk.cluster().images == 15


def test_a_folder_that_is_nowhere_may_be_several_things(desk: Desk) -> None:
    shutil.rmtree(desk.photos)
    with pytest.raises(ImgclusterError) as error:
        desk.cluster()
    words = ("`imgcluster extract FOLDER` finds them again", "--clusters", "`imgcluster store prune` forgets")
    places = [str(error.value).index(word) for word in words]
    assert places == sorted(places)


def test_what_was_deleted_on_purpose_is_forgotten_for_good(desk: Desk) -> None:
    (desk.photos / "red" / "red0.png").unlink()
    desk.cluster()
    (said,) = [note for note in desk.progress.notes if "gone since" in note]
    assert said.count("`imgcluster store prune` forgets them") == 1
    prune(desk.store)
    desk.progress.notes.clear()
    desk.cluster()
    assert not desk.progress.said("gone")
