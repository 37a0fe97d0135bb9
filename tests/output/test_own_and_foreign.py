"""What a run of this user did not make is read, but nothing in it or by it is changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cluster_files import contents, make, photograph, placed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcluster.errors import ImgclusterError
from imgcluster.output import folders, life
from imgcluster.output.contents import JOURNAL
from imgcluster.output.folders import recover
from imgcluster.output.life import look, new_tree
from imgcluster.output.manifest import read_assignments
from imgcluster.output.model_file import read_model
from imgcluster.output.staged_install import staged_install
from imgcluster.output.trust import take_over
from imgcluster.output.undo import undo
from imgcluster.ownership import Ownership
from imgcluster.records import SilentProgress

MARKER = ".imgcluster.json"


@pytest.fixture
def owner(tmp_path_factory):
    return Ownership(str(tmp_path_factory.mktemp("state") / "imgcluster"))


@pytest.fixture
def photos(tmp_path):
    return [photograph(tmp_path / "photos" / f"{i}.jpg", f"image {i}") for i in range(3)]


def quiet(_message):
    pass


def take_away(out, owner, *, force=False):
    return undo(str(out), force=force, progress=SilentProgress(), owner=owner)


def report(out, owner):
    """Add a file as the command does, that is to a clustering."""
    recover(str(out), quiet, owner)
    if look(str(out), owner).marker is None:
        return
    with staged_install(str(out), ("report",), look(str(out), owner).marker, quiet, owner) as made:
        photograph(f"{made}/report/page.html")


def entry(path, kind, source, key="0" * 64):
    """What a marker says of a file, by one who knows all about it."""
    found = os.lstat(path)
    return [kind, key, found.st_size, found.st_mtime_ns, found.st_ino, source, ""]


def forge(folder, files=None, *, building=False, **more):
    document = {"schema": 1, "generation": 1, "building": building, "files": files or {}}
    photograph(Path(folder) / MARKER, json.dumps(document | more))


def refuses_everything(root, owner, photos):
    """Every command that changes something refuses, also with --force, and nothing has changed."""
    out, before = root / "clusters", contents(root)
    for force in (False, True):
        for command in (
            lambda force=force: take_away(out, owner, force=force),
            lambda force=force: make([placed(p) for p in photos], out, force=force, owner=owner),
            lambda: recover(str(out), quiet, owner),
            lambda: report(out, owner),
        ):
            try:
                command()
            except ImgclusterError as error:
                assert "\n" not in str(error)  # noqa: PT017
            assert contents(root) == before


def test_s1_a_hidden_tree_beside_the_folder_moves_nothing(tmp_path, photos, owner):
    out = tmp_path / "clusters"
    tree = Path(new_tree(str(out)))
    planted = photograph(tree / "x", "[Desktop Entry]")
    found = os.lstat(planted)
    forge(tree, building=True)
    target = str(tmp_path / "home" / ".config" / "autostart" / "x.desktop")
    line = [target, "./x", found.st_ino, found.st_size, found.st_mtime_ns]
    photograph(tree / JOURNAL, json.dumps(line) + "\n")
    with pytest.raises(ImgclusterError, match="--trust"):
        recover(str(out), quiet, owner)
    before = contents(tmp_path)
    with pytest.raises(ImgclusterError, match="--trust"):
        make([placed(p) for p in photos], out, force=True, owner=owner)
    with pytest.raises(ImgclusterError, match="--trust"):
        take_away(out, owner)
    assert contents(tmp_path) == before


def test_s2_a_forged_home_is_neither_used_nor_signed(tmp_path, photos, owner):
    out, victim = tmp_path / "clusters", tmp_path / "home" / "authorized_keys"
    placement = placed(photograph(out / "0" / "a.jpg", "image 0"), 0, str(victim))
    forge(out, {"./0/a.jpg": entry(out / "0" / "a.jpg", "moved", str(victim), placement.key.hex())})
    refuses_everything(tmp_path, owner, photos)
    with pytest.raises(ImgclusterError, match="--trust"):
        make([placement], tmp_path / "mine", "move", owner=owner)
    # Without any marker, the image's home is where it lay.
    (out / MARKER).unlink()
    make([placement], tmp_path / "mine", "move", owner=owner)
    take_away(tmp_path / "mine", owner)
    assert (out / "0" / "a.jpg").exists()
    assert not victim.exists()


def test_s3_a_linked_folder_gives_no_photograph_away(tmp_path, photos, owner):
    out, taken = tmp_path / "clusters", tmp_path / "forger"
    out.mkdir()
    os.symlink(tmp_path / "photos", out / "kept")
    files = {f"./kept/{i}.jpg": entry(photos[i], "moved", f"{taken}/{i}") for i in range(3)}
    forge(out, files)
    refuses_everything(tmp_path, owner, photos)
    take_over(str(out), [str(taken)], owner, quiet)
    take_away(out, owner)
    assert not taken.exists()
    assert all(map(os.path.exists, photos))


def test_a_journal_leads_through_no_link_even_where_it_is_trusted(tmp_path, photos, owner):
    tree, taken = Path(new_tree(str(tmp_path / "clusters"))), tmp_path / "trusted"
    tree.mkdir()
    taken.mkdir()
    os.symlink(tmp_path / "photos", tree / "0")
    forge(tree, building=True, moves=1)
    found = os.lstat(photos[0])
    line = [f"{taken}/0.jpg", "./0/0.jpg", found.st_ino, found.st_size, found.st_mtime_ns]
    photograph(tree / JOURNAL, json.dumps(line) + "\n")
    take_over(str(tmp_path / "clusters"), [str(taken)], owner, quiet)
    recover(str(tmp_path / "clusters"), quiet, owner)
    assert all(map(os.path.exists, photos))
    assert list(taken.iterdir()) == []


@pytest.mark.parametrize("way", ["copied", "another user's key", "key lost", "record lost", "0.1"])
def test_what_is_not_proved_is_foreign(tmp_path, photos, owner, way):
    out, state = tmp_path / "clusters", Path(owner._folder)
    make([placed(p) for p in photos], out, "move", owner=owner)
    if way == "copied":
        shutil.copytree(out, tmp_path / "copy")
        shutil.rmtree(out)
        (tmp_path / "copy").rename(out)
    elif way == "another user's key":
        state = tmp_path.with_name(f"{tmp_path.name}-other")
    elif way == "key lost":
        (state / "key").unlink()
    elif way == "record lost":
        shutil.rmtree(state / "clusterings")
    else:
        document = json.loads((out / MARKER).read_text())
        forge(out, document["files"])
    owner = Ownership(str(state))
    others = [photograph(tmp_path / "photos" / "new.jpg")]
    refuses_everything(tmp_path, owner, others)
    said = []
    take_over(str(out), [str(tmp_path / "photos")], owner, said.append, dry_run=True)
    assert "3 moved images" in said[0]
    refuses_everything(tmp_path, owner, others)
    take_over(str(out), [str(tmp_path / "photos")], owner, said.append)
    assert take_away(out, owner).returned == 3
    assert all(map(os.path.exists, photos))


def test_trust_of_one_folder_says_nothing_of_another(tmp_path, photos, owner):
    out, home_ = tmp_path / "clusters", tmp_path / "home"
    (tmp_path / "trusted").mkdir()
    os.symlink(home_, tmp_path / "trusted" / "link")
    home_.mkdir()
    places = [f"{tmp_path}/trusted/a", f"{home_}/b", f"{tmp_path}/trusted/link/c", "./../trusted/../home/d"]
    files = {}
    for number, place in enumerate(places):
        image = photograph(out / "0" / str(number), f"planted {number}")
        files[f"./0/{number}"] = entry(image, "moved", place, placed(image).key.hex())
    forge(out, files)
    take_over(str(out), [str(tmp_path / "trusted")], owner, quiet)
    assert take_away(out, owner).returned == 1
    assert contents(home_) == {}
    assert sorted(os.listdir(out / "0")) == ["1", "2", "3"]


def test_an_old_marker_cannot_be_played_again(tmp_path, photos, owner):
    """S4."""
    out = tmp_path / "clusters"
    make([placed(p) for p in photos], out, "move", owner=owner)
    old = (out / MARKER).read_bytes()
    report(out, owner)
    (out / MARKER).write_bytes(old)
    refuses_everything(tmp_path, owner, photos[:0])


def test_an_old_journal_cannot_be_played_again(tmp_path, photos, owner, monkeypatch):
    """S4: a tree as it was while images were moved into it, put back when they have long been at home."""
    out, saved = tmp_path / "clusters", {}
    tree = new_tree(str(out))

    def keep(*_arguments):
        saved.update({name: Path(tree, name).read_bytes() for name in (JOURNAL, MARKER)})

    with monkeypatch.context() as patch:
        patch.setattr(folders, "sync_all", keep)
        patch.setattr(folders._Builder, "_write", keep)
        make([placed(p) for p in photos], out, "move", owner=owner)
    for name, data in saved.items():
        (out / name).write_bytes(data)
    out.rename(tree)  # the very folder, with a marker and a journal that this user once signed
    refuses_everything(tmp_path, owner, photos[:0])


@pytest.mark.parametrize("at", ["report", "report/thumbnails", "report/thumbnails/ab"])
@pytest.mark.parametrize("before", [False, True])
def test_a_report_goes_behind_no_link(tmp_path, photos, owner, at, before):
    """Unpacking an archive over a clustering may put links there that lead out of it."""
    out, victim = tmp_path / "clusters", tmp_path / "home"
    make([placed(p) for p in photos], out, owner=owner)

    def write():
        with staged_install(str(out), ("report",), look(str(out), owner).marker, quiet, owner) as made:
            photograph(f"{made}/report/thumbnails/ab/x.jpg", "thumbnail")
            photograph(f"{made}/report/page.html", "page")

    if before:
        write()
        shutil.copytree(out / at, victim)
        shutil.rmtree(out / at)
    else:
        photograph(victim / "mine")
        (victim / "thumbnails" / "ab").mkdir(parents=True)
        (out / at).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(victim, out / at)
    there = sorted(map(str, victim.rglob("*"))), contents(victim)
    with pytest.raises(ImgclusterError, match="was not put there by imgcluster"):
        write()
    assert (sorted(map(str, victim.rglob("*"))), contents(victim)) == there
    take_away(out, owner)
    assert (sorted(map(str, victim.rglob("*"))), contents(victim)) == there


def test_a_signature_holds_for_one_folder(tmp_path, photos, owner):
    for number, name in enumerate(("clusters", "other")):
        make([placed(photos[number])], tmp_path / name, owner=owner)
    shutil.copy(tmp_path / "other" / MARKER, tmp_path / "clusters" / MARKER)
    refuses_everything(tmp_path, owner, photos)


def test_a_home_that_became_another_users_gets_nothing(tmp_path, photos, owner):
    out = tmp_path / "clusters"
    make([placed(p) for p in photos], out, "move", owner=owner)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    os.chown(tmp_path / "photos", 12345, 12345)
    with pytest.raises(ImgclusterError, match="is not yours now"):
        take_away(out, owner)
    assert contents(tmp_path / "photos") == {}
    os.chown(tmp_path / "photos", 0, 0)
    take_away(out, owner)
    assert all(map(os.path.exists, photos))


def test_a_link_of_another_user_on_the_way_home_is_not_followed(tmp_path, photos, owner):
    if os.geteuid() != 0:
        pytest.skip("only root can give a link to another user")
    out = tmp_path / "clusters"
    make([placed(p) for p in photos], out, "move", owner=owner)
    (tmp_path / "photos").rmdir()
    (tmp_path / "autostart").mkdir()
    os.symlink(tmp_path / "autostart", tmp_path / "photos")
    os.lchown(tmp_path / "photos", 12345, 12345)
    with pytest.raises(ImgclusterError, match="is not yours now"):
        take_away(out, owner)
    assert contents(tmp_path / "autostart") == {}


@pytest.mark.parametrize("how", ["no folder", "readable key", "writable folder"])
@pytest.mark.parametrize("asked_before", [False, True])
def test_without_a_state_folder_all_works_and_a_line_says_what_that_means(
    tmp_path, photos, how, asked_before
):
    state = tmp_path / "state"
    if how == "no folder":
        photograph(state, "a file")
    else:
        Ownership(str(state)).prepare()
        os.chmod(*((state / "key", 0o644) if how == "readable key" else (state, 0o777)))
    notes = []

    class Telling(SilentProgress):
        def note(self, message):
            notes.append(message)

    owner, out = Ownership(str(state)), tmp_path / "clusters"
    if asked_before:  # as by the readings of what is clustered
        owner.add_digests("store", [b"x" * 16])
    make([placed(p) for p in photos], out, "move", owner=owner, progress=Telling())
    (told,) = (note for note in notes if "--trust" in note and str(state) in note)
    mode = {"readable key": f"chmod 600 {state / 'key'}", "writable folder": f"chmod 700 {state}"}
    assert mode.get(how, "") in told
    with pytest.raises(ImgclusterError, match="--trust"):
        take_away(out, Ownership(str(state)))
    assert take_away(out, owner).returned == 3


def test_the_key_is_this_users_alone_and_made_once(tmp_path):
    state = tmp_path / "state"
    first, second = Ownership(str(state)), Ownership(str(state))
    assert second.has_signed(b"x", first.sign(b"x"))
    assert not second.has_signed(b"y", first.sign(b"x"))
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "key").stat().st_mode & 0o777 == 0o600
    assert len((state / "key").read_bytes()) == 32
    assert os.listdir(state) == ["key"]


names = st.sampled_from(["./0/a", "./kept/a", "./a", "./report/a", "./.imgcluster-unfinished/a", "./link/a"])
places = st.sampled_from(["./../home/a", "{root}/home/new", "{root}/home/a", "./0/b", "./../photos/0.jpg"])
kinds = st.sampled_from(["moved", "copy", "hardlink", "symlink", "written"])
forged = st.fixed_dictionaries(
    {
        "where": st.sampled_from(["out", "new", "old"]),
        "building": st.booleans(),
        "generation": st.integers(0, 9),
        "files": st.lists(st.tuples(names, kinds, places), max_size=4),
        "lines": st.lists(st.tuples(places, names), max_size=3),
        "name": st.sampled_from(["", "x", "../../etc"]),
        "signature": st.sampled_from(["", "0" * 64]),
    }
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(forged, min_size=1, max_size=3))
def test_no_forged_state_changes_what_lies_around(tmp_path_factory, states):
    root = tmp_path_factory.mktemp("forged")
    out, owner = root / "clusters", Ownership()
    canaries = {"home/a": b"canary", "photos/0.jpg": b"image"}
    for path, data in canaries.items():
        photograph(root / path, data)
    tree = new_tree(str(out))
    where = {"out": out, "new": Path(tree), "old": Path(tree.removesuffix("new") + "old")}
    for state in states:
        folder = where[state["where"]]
        folder.mkdir(exist_ok=True)
        if not (folder / "link").is_symlink():
            os.symlink(root / "home", folder / "link")
        files = {}
        for name, kind, place in state["files"]:
            path = folder / name
            if not path.exists():
                photograph(path, "planted")
            files[name] = entry(path, kind, place.format(root=root), placed(str(path)).key.hex())
        more = {"name": state["name"], "edition": 99} | (
            {"signature": state["signature"]} if state["signature"] else {}
        )
        forge(folder, files, building=state["building"], generation=state["generation"], **more)
        lines = []
        for place, name in state["lines"]:
            if (folder / name).exists():
                found = os.lstat(folder / name)
                fields = [place.format(root=root), name, found.st_ino, found.st_size, found.st_mtime_ns]
                lines.append(json.dumps([os.path.normpath(f"{out}/{fields[0]}"), *fields[1:]]) + "\n")
        photograph(folder / JOURNAL, "".join(lines) or "\n")
    refuses_everything(root, owner, [str(root / "photos" / "0.jpg")])
    assert {path: (root / path).read_bytes() for path in canaries} == canaries
    assert sorted(os.listdir(root / "home")) == ["a"]
    assert life.is_unfinished(os.path.basename(tree))
    shutil.rmtree(root)


@pytest.mark.parametrize("how", ["pipe", "zeros", "sparse"])
@pytest.mark.parametrize("where", [MARKER, JOURNAL, "assignments.csv"])
def test_no_state_is_waited_for_or_takes_memory(tmp_path, photos, owner, how, where):
    """S9, S11: a pipe, a link to /dev/zero, a file of many gigabytes."""
    out = tmp_path / "clusters"
    make([placed(p) for p in photos], out, "move", owner=owner)
    (out / where).unlink(missing_ok=True)
    if how == "pipe":
        os.mkfifo(out / where)
    elif how == "zeros":
        (out / where).symlink_to("/dev/zero")
    else:
        (out / where).touch()
        os.truncate(out / where, 1 << 36)
    if where != "assignments.csv":
        # What says of a journal that none was finished is the marker: then it is nothing but left over.
        with pytest.raises(ImgclusterError) if where == MARKER else contextlib.nullcontext():
            take_away(out, owner)
    else:
        with pytest.raises(ImgclusterError, match=r"cannot read .*assignments.csv"):
            read_assignments(str(out))


def test_a_marker_is_written_through_no_link(tmp_path, photos, owner):
    """S5: the name that the first version wrote to, and whatever else begins alike."""
    victim = Path(photograph(tmp_path / "home" / "victim", "keep me"))
    out = tmp_path / "clusters"
    make([placed(p) for p in photos], out, owner=owner)
    for name in (f"{MARKER}.part", f"{JOURNAL}.part", ".imgcluster-0000000000000000.part"):
        (out / name).symlink_to(victim)
    report(out, owner)
    make([placed(p) for p in photos], out, "move", owner=owner)
    take_away(out, owner)
    assert victim.read_text() == "keep me"


def test_a_large_marker_of_somebody_else_is_not_parsed(tmp_path, owner, monkeypatch):
    monkeypatch.setattr("imgcluster.output.marker._MOST_FOREIGN_BYTES", 1000)
    forge(tmp_path / "clusters", name="x" * 1000)
    with pytest.raises(ImgclusterError, match="larger than 1,000 bytes, and not yours"):
        look(str(tmp_path / "clusters"), owner)
    own = tmp_path / "own"
    make([placed(photograph(tmp_path / "photos" / f"{i}.jpg")) for i in range(9)], own, owner=owner)
    assert look(str(own), owner).foreign == ()


def test_a_model_that_unpacks_to_more_than_its_file_is_damage(tmp_path):
    np.savez_compressed(tmp_path / "model.npz", schema=np.zeros(1 << 22, np.int8))
    with pytest.raises(ImgclusterError, match="arrays that are not as imgcluster writes them"):
        read_model(str(tmp_path))
