"""Whatever stops a build or an undo, at whatever step, no image is lost and the next run finds its way."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import pytest
from cluster_files import contents, images, make, names_in, photograph, placed
from interruption import COUNT, Interruption, is_killed, moments, prepare

from imgcluster.errors import ImgclusterError
from imgcluster.output import folders, life
from imgcluster.output.folders import recover
from imgcluster.output.manifest import read_assignments
from imgcluster.output.undo import undo
from imgcluster.ownership import Ownership
from imgcluster.records import SilentProgress


def old_clusters(root, mode):
    """Two clusters in `root`/clusters, photographs in `root`/photos, and a foreign file."""
    sources = [photograph(root / "photos" / f"{i}.jpg", f"image {i}") for i in range(5)]
    make([placed(s, i % 2) for i, s in enumerate(sources)], root / "clusters", mode)
    photograph(root / "clusters" / "0" / "mine.txt", "mine")


def next_placements(root):
    """The same images in another clustering, as a workflow would find them; one has no part in it."""
    recover(str(root / "clusters"), lambda _: None)
    known = read_assignments(str(root / "clusters"))
    here = [
        p if os.path.exists(p.path) else p.__class__(p.original, p.original, p.key, 0, 0.0) for p in known
    ]
    return [placed(p.path, 0, p.original) for p in here[:4]]


def everything(root):
    """Each content that lies anywhere below `root`."""
    return set(contents(root).values())


IMAGES = {f"image {i}".encode() for i in range(5)}

NEW = {f"0/{i}.jpg": f"image {i}".encode() for i in range(4)} | {"0/mine.txt": b"mine"}


PHOTOS = {f"{i}.jpg": f"image {i}".encode() for i in range(5)}


def raising(error):
    def stop():
        raise error

    return stop


def refusal(placements, out, mode):
    try:
        make(placements, out, mode, force=True)
    except ImgclusterError as error:
        return str(error)
    return ""


def no_litter(root):
    assert names_in(root) == ["clusters", "photos"]
    assert not [name for name in contents(root) if name.endswith(".part")]


@pytest.mark.parametrize(
    ("mode", "after", "exchange"),
    [
        ("hardlink", True, True),
        ("copy", False, False),
        ("move", False, True),
        ("move", True, True),
        ("move", True, False),
    ],
)
def test_ctrl_c_at_any_step_leaves_the_old_or_the_new(tmp_path, mode, after, exchange):
    for at in range(1, 1000):
        root = tmp_path / str(at)
        old_clusters(root, mode)
        before = images(root / "clusters")
        placements = next_placements(root)
        with pytest.MonkeyPatch.context() as patch:
            if not exchange:
                patch.setattr(life, "exchange", lambda *_: False)
            interruption = Interruption(patch.setattr, at, raising(KeyboardInterrupt()), after=after)
            with contextlib.suppress(KeyboardInterrupt):
                make(placements, root / "clusters", mode, force=True)
        now = images(root / "clusters")
        assert now in (before, NEW)
        assert everything(root) >= IMAGES | {b"mine"}
        no_litter(root)
        if not interruption.happened:
            break
        shutil.rmtree(root)
    else:
        pytest.fail("there was no end of steps")
    assert at > 20


@pytest.mark.parametrize(
    ("mode", "number"), [("hardlink", errno.EACCES), ("move", errno.ENOSPC), ("move", errno.EIO)]
)
def test_an_error_at_any_step_before_the_exchange_leaves_the_old(tmp_path, mode, number):
    for at in range(1, 1000, 3):
        root = tmp_path / str(at)
        old_clusters(root, mode)
        before = contents(root)
        placements = next_placements(root)
        with pytest.MonkeyPatch.context() as patch:
            interruption = Interruption(
                patch.setattr, at, raising(OSError(number, os.strerror(number), "a file"))
            )
            message = refusal(placements, root / "clusters", mode)
        assert message == "" or contents(root) == before
        assert "\n" not in message
        assert everything(root) >= IMAGES | {b"mine"}
        recover(str(root / "clusters"), lambda _: None)
        no_litter(root)
        if not interruption.happened:
            break
        shutil.rmtree(root)


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_an_undo_that_is_stopped_at_any_step_is_finished_by_the_next(tmp_path, mode):
    for at in range(1, 1000):
        root = tmp_path / str(at)
        old_clusters(root, mode)
        with pytest.MonkeyPatch.context() as patch:
            interruption = Interruption(patch.setattr, at, raising(KeyboardInterrupt()))
            with contextlib.suppress(KeyboardInterrupt):
                undo(str(root / "clusters"), progress=SilentProgress())
        assert everything(root) >= IMAGES | {b"mine"}
        with contextlib.suppress(ImgclusterError):  # "no clustering in …" when the first had finished
            undo(str(root / "clusters"), progress=SilentProgress())
        assert contents(root / "clusters") == {"0/mine.txt": b"mine"}
        assert contents(root / "photos") == PHOTOS
        no_litter(root)
        if not interruption.happened:
            break
        shutil.rmtree(root)


@pytest.fixture
def other_disk(tmp_path):
    folder = Path(f"/dev/shm/imgcluster-kills-{os.getpid()}")
    if not folder.parent.is_dir() or folder.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system here")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("story", ["first", "again", "other disk"])
def test_kill_9_in_the_middle_of_a_move_loses_no_image(tmp_path, request, story):
    check_kills(tmp_path, request, story, moments(12, 6, seed=1), at_least=12)


@pytest.mark.long
@pytest.mark.parametrize("story", ["first", "again", "other disk"])
def test_kill_9_at_every_step_of_a_move_loses_no_image(tmp_path, request, story):
    check_kills(
        tmp_path, request, story, [f"s{n}" for n in range(1, 200)] + moments(0, 60, seed=2), at_least=60
    )


def check_kills(tmp_path, request, story, when, at_least):
    outs = request.getfixturevalue("other_disk") if story == "other disk" else tmp_path
    wanted, owner = {f"image {i}".encode() for i in range(COUNT)}, Ownership(str(tmp_path / "state"))
    killed = 0
    for moment in when:
        out = str(outs / moment / "clusters")
        killed += is_killed(prepare(f"{tmp_path}/{moment}/photos", out, story, owner), out, moment, owner)
    assert killed >= at_least
    for number, moment in enumerate(when):
        photos, out = tmp_path / moment / "photos", outs / moment / "clusters"
        found = [*contents(photos).values(), *contents(out.parent).values()]
        assert wanted <= set(found), f"{story}, {moment}"
        if number % 2:
            finish_by_a_second_run(photos, out, owner)
        try:
            undo(str(out), progress=SilentProgress(), owner=owner)
        except ImgclusterError as error:  # nothing had been made
            assert "no clustering in" in str(error)  # noqa: PT017
        assert contents(photos) == {f"{i}.jpg": f"image {i}".encode() for i in range(COUNT)}, (
            f"{story}, {moment}"
        )
        litter = set(os.listdir(out.parent)) - {"photos"} if out.parent.exists() else set()
        assert not litter, f"{story}, {moment}"
        assert not [name for name in os.listdir(photos) if name.startswith(".")]


def finish_by_a_second_run(photos, out, owner):
    recover(str(out), lambda _: None, owner)
    known = (
        {p.original: p.path for p in read_assignments(str(out))} if (out / "assignments.csv").exists() else {}
    )
    originals = [str(photos / f"{i}.jpg") for i in range(COUNT)]
    make([placed(known.get(o, o), i % 2, o) for i, o in enumerate(originals)], out, "move", owner=owner)
    assert len(images(out)) == COUNT
    assert contents(photos) == {}
    assert len(read_assignments(str(out))) == COUNT


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "no exchange"])
def test_a_run_that_dies_after_the_exchange_leaves_the_old_tree_to_the_next(tmp_path, monkeypatch, exchange):
    old_clusters(tmp_path, "move")
    placements = next_placements(tmp_path)
    if not exchange:
        monkeypatch.setattr(life, "exchange", lambda *_: False)
    with monkeypatch.context() as patch:
        patch.setattr(folders, "_sweep", lambda *_: None)
        make(placements, tmp_path / "clusters", "move", force=True)
    assert len(names_in(tmp_path)) == 3
    recover(str(tmp_path / "clusters"), lambda _: None)
    assert images(tmp_path / "clusters") == NEW
    assert contents(tmp_path / "photos") == {"4.jpg": b"image 4"}
    no_litter(tmp_path)


def test_a_run_that_dies_between_two_renames_is_put_right(tmp_path, monkeypatch):
    """On a file system that cannot exchange, there is a moment without any output folder."""
    old_clusters(tmp_path, "move")
    before = images(tmp_path / "clusters")
    placements = next_placements(tmp_path)
    out, built, aside = (str(tmp_path / "clusters"), *trees_of(str(tmp_path / "clusters")))
    with monkeypatch.context() as patch:
        patch.setattr(folders, "swap_in", lambda out: os.rename(out, aside))
        patch.setattr(folders, "give_up", lambda *_: None)
        patch.setattr(folders, "_sweep", lambda *_: None)
        make(placements, out, "move", force=True)
    assert not os.path.exists(out)
    assert os.path.exists(built)
    recover(out, lambda _: None)
    assert images(out) == before
    no_litter(tmp_path)


def trees_of(out):
    built = life.new_tree(out)
    return built, built.removesuffix(".new") + ".old"
