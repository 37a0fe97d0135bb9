"""Files that take the process with them, or hang: the others finish, and the file is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dangerous_reading
import pytest
from fakes import FakeSource, write_images
from forks import end_of, fork

from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, extract


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    paths = write_images(tmp_path / "photos", 6, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))
    paths[3].rename(tmp_path / "photos" / "red" / "killer.png")
    return tmp_path / "photos"


def run(photos: Path, reading: str, *, timeout: float = 30.0) -> dict[str, Any] | None:
    """Extract in a process of its own; None where it died."""
    answer = photos.parent / "answer.json"
    status = end_of(fork(lambda: answer.write_text(json.dumps(extracted(photos, reading, timeout)))))
    if status == 3:
        return None
    assert status == 0
    result: dict[str, Any] = json.loads(answer.read_text())
    return result


def extracted(photos: Path, reading: str, timeout: float) -> dict[str, Any]:
    options = ExtractOptions(store=str(photos.parent / "features.h5"), timeout=timeout)
    how = getattr(dangerous_reading, reading)
    result = extract([photos], options, source=FakeSource(), reading=how)
    return {
        "new": result.new,
        "cached": result.cached,
        "failures": [[os.path.basename(f.path), f.reason] for f in result.failures],
        "temporary": [f.code.temporary for f in result.failures],
    }


def test_a_file_that_ends_two_processes_is_left_out_and_the_others_finish(photos: Path) -> None:
    assert run(photos, "deadly") is None
    second = run(photos, "deadly")
    assert second is not None
    assert second["new"] + second["cached"] == 11
    ((name, reason),) = second["failures"]
    assert name == "killer.png"
    assert "ended the process that decoded it, twice (exit status 3)" in reason
    third = run(photos, "deadly")
    assert third is not None
    assert (third["cached"], third["failures"]) == (11, second["failures"])
    assert not list(photos.parent.glob("*.inflight"))


def test_one_death_is_forgiven(photos: Path) -> None:
    assert run(photos, "deadly_once") is None
    second = run(photos, "deadly_once")
    assert second is not None
    assert (second["new"] + second["cached"], second["failures"]) == (12, [])
    with FeatureStore(photos.parent / "features.h5") as store:
        assert len(store.paths()) == 12


@pytest.mark.slow
def test_what_was_read_apart_is_the_same_as_what_a_thread_reads(photos: Path, tmp_path: Path) -> None:
    assert run(photos, "deadly_once") is None
    run(photos, "deadly_once")
    apart = FeatureStore(photos.parent / "features.h5")
    (tmp_path / "plain").mkdir()
    os.symlink(photos, tmp_path / "plain" / "photos")
    run(tmp_path / "plain" / "photos", "read_image")
    plain = FeatureStore(tmp_path / "plain" / "features.h5")
    with apart, plain:
        (space,) = apart.spaces
        keys = plain.keys(space.name)
        assert (apart.read(space.name, keys) == plain.read(space.name, keys)).all()


def test_a_file_that_hangs_is_given_up_and_tried_again_next_time(photos: Path) -> None:
    first = run(photos, "endless", timeout=3)
    assert first is not None
    assert (first["new"], first["temporary"]) == (11, [True])
    assert first["failures"] == [["killer.png", "gave no answer within 3 s"]]
    second = run(photos, "read_image")
    assert second is not None
    assert (second["new"], second["cached"], second["failures"]) == (1, 11, [])
