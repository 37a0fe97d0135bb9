"""Only a file that is known to hold the bytes of its key is linked, moved or advised to go."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from clusterings import IMAGES, Desk, Notes, desk_with_photos, pictures
from fakes import FakeSource

from imgcluster.errors import ImgclusterError
from imgcluster.files import digest_and_status
from imgcluster.ownership import DIGEST_BYTES, Ownership
from imgcluster.readings import Readings
from imgcluster.records import STAT_GRANULARITY_NS, PathEntry
from imgcluster.store.store import FeatureStore
from imgcluster.workflows import cluster as cluster_module
from imgcluster.workflows import clustering_folder
from imgcluster.workflows.assign import assign
from imgcluster.workflows.cluster import cluster
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.diff import diff
from imgcluster.workflows.duplicates import duplicates
from imgcluster.workflows.evaluate import evaluate
from imgcluster.workflows.extract import extract
from imgcluster.workflows.name import name
from imgcluster.workflows.options import (
    AssignOptions,
    ClusterOptions,
    ContactSheetOptions,
    DuplicatesOptions,
    ExtractOptions,
    NameOptions,
    PickOptions,
    SimilarOptions,
    UndoOptions,
)
from imgcluster.workflows.pick import pick
from imgcluster.workflows.similar import similar
from imgcluster.workflows.stored_files import SortedFiles, StoredImage, sort_files
from imgcluster.workflows.undo import undo

HOUR = 3600 * 10**9


@dataclass
class Reading(Notes):
    """Counts the files that are read to be sure."""

    read: int = 0
    stage: str = field(default="")

    def begin(self, what: str, total: int | None = None) -> None:
        self.read += (total or 0) if what.startswith("reading images") else 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = desk_with_photos(tmp_path)
    desk.progress = Reading()
    desk.extract()
    return desk


def read(desk: Desk) -> int:
    assert isinstance(desk.progress, Reading)
    number, desk.progress.read = desk.progress.read, 0
    return number


def plant(desk: Desk, path: Path) -> bytes:
    """Let the store say that a file is one of the photographs; return its bytes."""
    status = path.stat()
    with FeatureStore(desk.store, "a") as store:
        key = store.paths()[0].key
        store.record_paths([PathEntry(str(path), status.st_size, status.st_mtime_ns, 2 * 10**18, key)])
    return path.read_bytes()


def test_what_a_run_of_ours_has_read_is_not_read_again(desk: Desk) -> None:
    for mode in ("copy", "hardlink", "move", "symlink"):
        assert desk.cluster(mode=mode).images == IMAGES
    assert read(desk) == 0


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_store_gives_no_other_file_away(desk: Desk, mode: str, linked: bool) -> None:
    """S12: size and time of a secret file agree with what the store says, but not its bytes."""
    secret = desk.folder / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_bytes(b"secret")
    os.utime(secret, ns=(10**18, 10**18))
    named = desk.folder / "album" / "a.png" if linked else secret
    if linked:
        named.parent.mkdir()
        named.symlink_to(secret)
    data = plant(desk, named)
    result = desk.cluster(mode=mode)
    assert (result.images, result.changed) == (IMAGES, 1)
    assert secret.read_bytes() == data
    assert not any(path.is_file() and path.read_bytes() == data for path in desk.out.rglob("*"))
    assert desk.progress.said(f"changed since extraction, the first: {named}")


def test_extract_reads_a_file_again_that_was_found_to_be_another(desk: Desk) -> None:
    for other in (desk.photos / "red" / "other.png", desk.photos / "red" / "another.png"):
        other.write_bytes((desk.photos / "green" / "green0.png").read_bytes())
        os.utime(other, ns=(10**18, 10**18))
        plant(desk, other)
    assert desk.cluster(dry_run=True).changed == 2
    desk.extract()
    done = desk.cluster(dry_run=True)
    assert (done.images, done.changed) == (IMAGES + 2, 0)


def test_no_copy_is_advised_to_go_on_the_word_of_a_store(desk: Desk) -> None:
    other = desk.folder / "other.png"
    other.write_bytes(b"not that picture")
    os.utime(other, ns=(10**18, 10**18))
    plant(desk, other)
    found = duplicates((), DuplicatesOptions(store=desk.store, threshold=0.999), progress=desk.progress)
    assert str(other) not in str(found)


def test_times_that_were_shifted_are_no_reason_to_stop(desk: Desk) -> None:
    """The files are read once, without the network."""
    for path in pictures(desk.photos):
        os.utime(path, ns=(10**18 + HOUR, 10**18 + HOUR))
    assert desk.cluster().images == IMAGES
    assert read(desk) == IMAGES
    assert similar(pictures(desk.photos)[0], SimilarOptions(store=desk.store), progress=desk.progress)
    assert desk.cluster().images == IMAGES
    assert read(desk) == 0


def test_folder_and_store_move_together(desk: Desk) -> None:
    desk.photos.rename(desk.folder / "there")
    (desk.folder / "there").rename(desk.photos)
    assert desk.cluster().images == IMAGES
    assert read(desk) == 0
    new = desk.folder.with_name(f"{desk.folder.name}-moved")
    desk.folder.rename(new)
    moved = Desk(new, desk.progress)
    for _ in range(2):
        assert moved.cluster().images == IMAGES
    assert read(desk) == IMAGES


def test_a_file_counts_once_however_its_path_is_spelled(desk: Desk) -> None:
    """A link stands for a system to which `photos` and `PHOTOS` are one folder, or for what it is."""
    for other in ("PHOTOS", "elsewhere"):
        (desk.folder / other).symlink_to(desk.photos)
        desk.extract(desk.folder / other)
    assert duplicates((), DuplicatesOptions(store=desk.store)).groups == ()
    before = sorted(path.read_bytes() for path in pictures(desk.photos))
    assert desk.cluster(mode="move").images == IMAGES
    assert desk.progress.said(f"{2 * IMAGES} paths lead to files that have another path in the store")
    assert pictures(desk.photos) == []
    undo(UndoOptions(clusters=desk.out), progress=desk.progress)
    assert sorted(path.read_bytes() for path in pictures(desk.photos)) == before


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_counts_once_in_a_folder_that_is_mounted_twice(desk: Desk, *, linked: bool) -> None:
    other = desk.folder / "volume"
    other.mkdir()
    if subprocess.run(["mount", "--bind", desk.photos, other], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        desk.extract(other)
        if linked:  # every photograph has a hard link then
            desk.cluster(out=str(desk.folder / "first"))
        assert duplicates((), DuplicatesOptions(store=desk.store)).groups == ()
        assert desk.cluster(mode="move").images == IMAGES
        undo(UndoOptions(clusters=desk.out), progress=desk.progress)
        assert len(pictures(desk.photos)) == IMAGES
    finally:
        subprocess.run(["umount", other], check=True)


def test_which_path_of_a_file_counts_does_not_depend_on_what_was_read_before(desk: Desk) -> None:
    (desk.folder / "z").symlink_to(desk.photos)
    photo, owner = desk.photos / "red" / "red0.png", Ownership()
    key, status = digest_and_status(str(photo))
    entries = {
        path: PathEntry(path, status.st_size, status.st_mtime_ns - late, 2 * 10**18, key)
        for path, late in ((str(photo), 1), (str(desk.folder / "z" / "red" / "red0.png"), 0))
    }
    for _ in range(2):
        files = SortedFiles(Readings(owner, desk.store), desk.progress)
        sort_files(entries, (), lambda _: True, files)
        assert [image.path for image in files.images] == [str(photo)]
    assert read(desk) == 1


def test_names_of_their_own_are_files_of_their_own(desk: Desk) -> None:
    first = pictures(desk.photos)[0]
    os.link(first, first.with_name(first.name.upper()))
    (first.parent / first.name.title()).write_bytes(first.read_bytes())
    desk.extract()
    assert desk.cluster().images == IMAGES + 2


def test_what_was_changed_a_moment_ago_is_read_each_time(desk: Desk) -> None:
    path = pictures(desk.photos)[0]
    os.utime(path)
    for _ in range(2):
        assert desk.cluster().images == IMAGES
        assert read(desk) == 1
    assert STAT_GRANULARITY_NS > 0


@pytest.mark.parametrize("size", [10**6, 1 << 45])
def test_what_is_no_photograph_is_not_waited_for(desk: Desk, size: int) -> None:
    huge = desk.folder / "huge.png"
    with huge.open("wb") as file:
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("no file may be so large here")
    with FeatureStore(desk.store, "a") as store:
        key, status = store.paths()[0].key, huge.stat()
        store.record_paths([PathEntry(str(huge), size, status.st_mtime_ns, 2 * 10**18, key)])
    assert desk.cluster().changed == 1


def test_a_pipe_is_not_waited_for(desk: Desk) -> None:
    os.mkfifo(desk.folder / "pipe.png")
    with FeatureStore(desk.store, "a") as store:
        entry = PathEntry(str(desk.folder / "pipe.png"), 0, 1, 2 * 10**18, store.paths()[0].key)
        store.record_paths([entry])
    assert desk.cluster().changed == 1


def test_readings_outlive_the_process_and_are_of_one_user(desk: Desk) -> None:
    state = desk.folder / "state"
    extract(
        [desk.photos],
        ExtractOptions(store=desk.store, retry_failed=True),
        source=FakeSource(),
        owner=Ownership(str(state)),
    )

    def run(folder: Path) -> int:
        options = ClusterOptions(
            k=3, store=desk.store, out=str(desk.folder / "other"), restarts=3, dry_run=True
        )
        cluster((), options, owner=Ownership(str(folder)), progress=desk.progress)
        return read(desk)

    assert run(state) == IMAGES  # the store knew them: nothing was read by that run
    assert run(state) == 0
    assert run(desk.folder / "another") == IMAGES
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.parametrize("marker", ["signed by another", "none"])
def test_commands_that_read_a_foreign_clustering_say_so(desk: Desk, marker: str) -> None:
    desk.cluster()
    if marker == "none":
        (desk.out / ".imgcluster.json").unlink()
    stranger, own = Ownership(), str(desk.folder / "own")
    cluster((), ClusterOptions(k=2, store=desk.store, out=own), owner=stranger)
    commands = {
        "diff": lambda notes: diff(str(desk.out), own, owner=stranger, progress=notes),
        "evaluate": lambda notes: evaluate(clusters=desk.out, owner=stranger, progress=notes),
        "contact-sheet": lambda notes: make_contact_sheet(
            ContactSheetOptions(cluster=0, out=str(desk.folder / "sheet.png"), clusters=desk.out),
            owner=stranger,
            progress=notes,
        ),
        "similar": lambda notes: similar(
            pictures(desk.photos)[0],
            SimilarOptions(store=desk.store, clusters=str(desk.out)),
            owner=stranger,
            progress=notes,
        ),
        "assign": lambda notes: assign(
            [desk.photos],
            AssignOptions(clusters=str(desk.out), store=desk.store),
            owner=stranger,
            progress=notes,
        ),
    }
    for which, command in commands.items():
        notes = Notes()
        command(notes)
        assert sum("not known to be made by a run of yours" in note for note in notes.notes) == 1, which


def test_a_foreign_clustering_does_not_choose_the_store_that_is_written(desk: Desk) -> None:
    desk.cluster()
    before = Path(desk.store).read_bytes()
    with pytest.raises(ImgclusterError, match="name one with --store"):
        assign([desk.photos], AssignOptions(clusters=str(desk.out)), owner=Ownership())
    assert Path(desk.store).read_bytes() == before


def test_an_image_behind_a_link_is_not_in_the_clustering(desk: Desk) -> None:
    """S3: a table that names photographs of another folder through a linked one."""
    desk.cluster(mode="copy")
    foreign, private = desk.folder / "foreign", desk.folder / "private"
    desk.out.rename(foreign)
    (foreign / ".imgcluster.json").unlink()
    desk.photos.rename(private)
    (foreign / "kept").symlink_to(private)
    table = (foreign / "assignments.csv").read_text().splitlines()
    rows = [line.split(",") for line in table[1:]]
    for row in rows:
        row[5], row[6] = f"./kept/{row[0].partition('photos/')[2]}", "yes"
    (foreign / "assignments.csv").write_text("\r\n".join([table[0], *map(",".join, rows)]) + "\r\n")
    before = sorted(path.read_bytes() for path in pictures(private))
    with pytest.raises(ImgclusterError, match="no image is left"):
        desk.cluster(mode="move", clusters=str(foreign))
    assert sorted(path.read_bytes() for path in pictures(private)) == before
    assert json.loads((foreign / "clustering.json").read_text())["images"] == IMAGES


@pytest.mark.parametrize("mode", ["copy", "symlink", "move"])
def test_a_table_that_others_wrote_names_no_file_to_a_step(desk: Desk, mode: str) -> None:
    """S13: bytes changed in place, size and time as they were: the digest in the marker tells."""
    secret = desk.folder / "home" / "x" / "red0.png"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"secret")
    desk.cluster(mode=mode)
    table = desk.out / "assignments.csv"
    status, data = table.stat(), table.read_bytes()
    changed = data.replace(b"./../photos/red/red0.png", b"./../home/x/red0.png    ")
    assert changed != data
    with table.open("r+b") as file:
        file.write(changed)
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ImgclusterError, match=r"assignments.csv was changed since it was put there"):
        name(("0=cats",), NameOptions(clusters=str(desk.out)), progress=desk.progress)
    assert secret.read_bytes() == b"secret"
    assert not (desk.out / "0 cats").exists()


def test_a_step_links_no_file_that_took_the_place_of_an_image(desk: Desk) -> None:
    secret = desk.folder / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_bytes(b"secret")
    desk.cluster(mode="copy")
    photo, shown = desk.photos / "red" / "red0.png", next(desk.out.rglob("red0.png"))
    for path in (photo, shown):
        path.unlink()
    photo.symlink_to(secret)
    name(("0=cats",), NameOptions(clusters=str(desk.out)), progress=desk.progress)
    assert not any(path.is_file() and path.read_bytes() == b"secret" for path in desk.out.rglob("*"))
    assert desk.progress.said(f"changed since extraction, the first: {photo}")


def exchange(path: Path, how: str, secret: Path) -> None:
    """Put something else at `path`, whose size and time are as before."""
    status, private = path.stat(), secret / path.name
    private.parent.mkdir(exist_ok=True)
    private.write_bytes(b"secret".ljust(status.st_size, b"."))
    os.utime(private, ns=(status.st_atime_ns, status.st_mtime_ns))
    if how == "folder link":
        path.parent.rename(path.parent.with_name("aside"))
        path.parent.symlink_to(secret)
        return
    aside = path.with_name("another")
    if how == "link":
        aside.symlink_to(private)
    else:
        aside.write_bytes(private.read_bytes())
        os.utime(aside, ns=(status.st_atime_ns, status.st_mtime_ns))
    aside.rename(path)


def no_secret_in(folder: Path) -> bool:
    files = (path for path in folder.rglob("*") if path.is_file())
    return not any(b"secret" in path.read_bytes() for path in files)


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
@pytest.mark.parametrize("how", ["file", "link", "folder link"])
def test_what_takes_the_place_of_an_image_after_it_was_compared_is_not_placed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, mode: str, how: str
) -> None:
    """S10: while clusters are found, somebody who may write to the photographs exchanges one."""
    photo, plan, before = desk.photos / "red" / "red0.png", cluster_module.plan_folders, pictures(desk.photos)

    def exchanged(*arguments: object, **more: object) -> object:
        exchange(photo, how, desk.folder / "home")
        return plan(*arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(cluster_module, "plan_folders", exchanged)
        with pytest.raises(ImgclusterError, match=r"red0\.png: was changed or exchanged meanwhile"):
            desk.cluster(mode=mode)
    assert not desk.out.exists()
    if how == "folder link":
        photo.parent.unlink()
        photo.parent.with_name("aside").rename(photo.parent)
    assert pictures(desk.photos) == before
    desk.cluster(mode=mode)
    assert no_secret_in(desk.out)


@pytest.mark.parametrize("mode", ["copy", "hardlink", "move"])
@pytest.mark.parametrize("where", ["photos", "clusters"])
def test_nor_is_what_takes_the_place_of_one_before_a_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, mode: str, where: str
) -> None:
    desk.cluster(mode=mode)
    plan = clustering_folder.plan_folders

    def exchanged(*arguments: object, **more: object) -> object:
        for path in (*desk.photos.rglob("red0.png"), *desk.out.rglob("red0.png")):
            if path.is_relative_to(desk.folder / where):
                exchange(path, "file", desk.folder / "home")
        return plan(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(clustering_folder, "plan_folders", exchanged)
    if where == "photos":  # what lies in the clustering is taken over
        name(("0=cats",), NameOptions(clusters=str(desk.out)), progress=desk.progress)
        assert no_secret_in(desk.out)
        return
    with pytest.raises(ImgclusterError, match="was changed or exchanged meanwhile"):
        name(("0=cats",), NameOptions(clusters=str(desk.out)), progress=desk.progress)
    assert not any("cats" in path.name for path in desk.folder.rglob("*"))


def test_nor_what_takes_the_place_of_one_that_was_picked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.cluster(mode="symlink")
    module = __import__("imgcluster.workflows.pick", fromlist=["make_folder_of"])
    make = module.make_folder_of

    def exchanged(images: list[tuple[str, object]], out: str) -> None:
        exchange(Path(images[0][0]).resolve(), "link", desk.folder / "home")
        make(images, out)

    monkeypatch.setattr(module, "make_folder_of", exchanged)
    with pytest.raises(ImgclusterError, match="was changed or exchanged meanwhile"):
        pick(PickOptions(clusters=str(desk.out), n=3, out=str(desk.folder / "few")), progress=desk.progress)
    assert not (desk.folder / "few").exists()


def test_a_reading_holds_for_the_place_that_a_path_led_to(desk: Desk) -> None:
    """On a disk of his own somebody can make a file with the number, size and time of any other."""
    photo, secret = desk.photos / "red" / "red0.png", desk.folder / "secret"
    readings, key, status = Readings(Ownership(), desk.store), b"k" * 32, photo.stat()
    readings.add([(str(photo), status.st_ino, status.st_size, status.st_mtime_ns, key)])

    def is_proved() -> bool:
        files = SortedFiles(readings, desk.progress, strict=True)
        files.look_at(StoredImage(str(photo), str(photo), key))
        return bool(files.images)

    assert is_proved()
    photo.rename(secret)
    photo.symlink_to(secret)
    assert photo.stat().st_ino == status.st_ino
    assert not is_proved()


def test_records_of_readings_are_read_once_and_each_by_itself(tmp_path: Path) -> None:
    asked = []

    class Asked(Ownership):
        def digests(self, name: str) -> set[bytes]:
            asked.append(name)
            return super().digests(name)

    owner, key = Asked(), b"k" * 32
    stores = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for store in stores:
        store.touch()
        status = store.stat()
        readings = Readings(owner, str(store))
        readings.add([(str(store), status.st_ino, status.st_size, status.st_mtime_ns, key)])
    assert len(asked) == len(set(asked))
    of_set = Readings(owner, str(tmp_path / "*.h5"))
    assert all(of_set.prove(str(store), store.stat(), key) for store in stores)


@pytest.mark.parametrize("cut", range(2 * DIGEST_BYTES + 1))
def test_a_torn_record_of_readings_loses_nothing_but_its_end(tmp_path: Path, cut: int) -> None:
    first, second, third = (bytes([number]) * DIGEST_BYTES for number in (1, 2, 3))
    folder = str(tmp_path / "state")
    Ownership(folder).add_digests("store", [first, second])
    (record,) = (tmp_path / "state" / "readings").iterdir()
    os.truncate(record, cut)
    Ownership(folder).add_digests("store", [third])
    assert Ownership(folder).digests("store") == {*[first, second][: cut // DIGEST_BYTES], third}


def test_what_two_runs_add_to_a_record_of_readings_at_once_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (bytes([number]) * DIGEST_BYTES for number in (1, 2, 3))
    folder, opened = str(tmp_path / "state"), os.fdopen
    Ownership(folder).add_digests("store", [first])

    def open_and_wait(descriptor: int, mode: str) -> IO[bytes]:
        file = opened(descriptor, mode)
        monkeypatch.undo()
        Ownership(folder).add_digests("store", [second])
        return file

    monkeypatch.setattr(os, "fdopen", open_and_wait)
    Ownership(folder).add_digests("store", [third])
    assert Ownership(folder).digests("store") == {first, second, third}


def test_tables_that_others_wrote_do_not_choose_the_store_that_is_written(desk: Desk) -> None:
    """S13: the marker is this user's, but not what clustering.json says now."""
    desk.cluster()
    elsewhere = desk.folder / "home" / "autostart.desktop"
    elsewhere.parent.mkdir()
    table = desk.out / "clustering.json"
    table.write_text(table.read_text().replace("features.h5", "home/autostart.desktop"))
    with pytest.raises(ImgclusterError, match=r"clustering\.json was changed since"):
        assign([desk.photos], AssignOptions(clusters=str(desk.out)), source=FakeSource())
    assert not elsewhere.exists()
    assign([desk.photos], AssignOptions(clusters=str(desk.out), store=desk.store), source=FakeSource())


@pytest.mark.parametrize("number", ["7", "-7", "99999999999999999999"])
def test_a_table_that_speaks_of_another_cluster_is_refused_in_one_line(desk: Desk, number: str) -> None:
    desk.cluster()
    table = desk.out / "assignments.csv"
    table.write_text(table.read_text().replace(",0,", f",{number},"))
    for command in (lambda: evaluate(clusters=desk.out), lambda: diff(str(desk.out), str(desk.out))):
        with pytest.raises(ImgclusterError, match=f"has no cluster {number}, "):
            command()
