"""Classes by folder, at whatever level of a tree they are."""

from __future__ import annotations

import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.workflows.labels import labels_of

TREE = [
    f"/data/{animal}/{site}/{date}/{n}.jpg"
    for animal in ("cat", "dog")
    for site in ("north", "south")
    for date in ("may", "june")
    for n in range(2)
]


@pytest.mark.parametrize(
    ("choice", "part", "repeated"),
    [("folders", 4, 2), ("folders:1", 2, 0), ("folders:2", 3, 2), ("folders:3", 4, 2)],
)
def test_the_level_chooses_the_folder_and_names_of_several_folders_are_told(
    choice: str, part: int, repeated: int
) -> None:
    notes: list[str] = []
    assert labels_of(choice, TREE, notes.append) == {path: path.split("/")[part] for path in TREE}
    assert [note.startswith(f"{repeated} classes are made of several folders") for note in notes] == (
        [True] if repeated else []
    )
    assert all("--labels folders:1" in note for note in notes)


def test_images_that_do_not_lie_so_deep_have_no_class() -> None:
    paths = [*TREE, "/data/loose.jpg"]
    assert set(labels_of("folders:2", paths)) == set(TREE)
    with pytest.raises(ImgclusterError, match="no image lies 4 folders below /data: choose another level"):
        labels_of("folders:4", paths)
    with pytest.raises(ImgclusterError, match="no image lies 1 folder below /data"):
        labels_of("folders:1", ["/data/a.jpg", "/data/b.jpg"])


@pytest.mark.parametrize("choice", ["folders:0", "folders:x", "folders:"])
def test_what_is_no_level_is_taken_for_a_file(choice: str) -> None:
    with pytest.raises(ImgclusterError, match="No such file"):
        labels_of(choice, TREE)
