from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.errors import ImgclusterError
from imgcluster.output.manifest import (
    ClusteringManifest,
    assignments_csv,
    manifest_json,
    parse_manifest,
    read_assignments,
    read_manifest,
)
from imgcluster.output.model_file import model_npz, read_model
from imgcluster.records import ClusterModel, FeatureTransform, NamedCluster, Placement

MANIFEST = ClusteringManifest(
    k=2,
    seed=0,
    algorithm="minibatch-kmeans",
    prepare="auto",
    mode="auto",
    store="/home/someone/features.h5",
    spaces=("inception_v3-299-avg-1a2b3c4d",),
    sizes=(3, 1),
    images=4,
    inertia=1.5,
    silhouette=0.25,
    options={"restarts": "10"},
    versions={"imgcluster": "0.1.0"},
)

name_bytes = st.binary(min_size=1, max_size=40).filter(
    lambda b: b"/" not in b and b"\0" not in b and b.strip(b".")
)
paths = st.lists(name_bytes, min_size=1, max_size=4).map(lambda parts: os.fsdecode(b"/" + b"/".join(parts)))


def write(out, name, data):
    out.mkdir(exist_ok=True)
    (out / name).write_bytes(data)
    return str(out)


@given(originals=st.lists(paths, max_size=5), distance=st.floats(0, 1e9, width=32))
def test_the_table_reads_back_as_it_was_written(tmp_path_factory, originals, distance):
    out = tmp_path_factory.mktemp("table") / "clusters"
    placements = tuple(
        Placement(path, path, bytes([i]) * 32, i, distance, 0.5, f"{os.path.realpath(out)}/{i}/x")
        for i, path in enumerate(originals)
    )
    write(
        out,
        "assignments.csv",
        assignments_csv(placements, str(out), [f"{i}/x" for i in range(len(originals))]),
    )
    assert read_assignments(str(out)) == placements


def test_moved_images_say_where_they_are_and_where_they_came_from(tmp_path):
    out = tmp_path / "clusters"
    moved = Placement(f"{out}/0/a.jpg", f"{tmp_path}/photos/a.jpg", b"k" * 32, 0, 0.5, 0.5, f"{out}/0/a.jpg")
    for files in (["0/a.jpg"], None):
        write(out, "assignments.csv", assignments_csv([moved], str(out), files))
        assert read_assignments(str(out)) == (moved,)


def test_no_cell_of_the_table_is_a_formula_and_paths_are_as_promised(tmp_path):
    names = ["=1+1.jpg", "+a.jpg", "-b.jpg", "@c.jpg", "\td.jpg"]
    placements = [Placement(f"{tmp_path}/{n}", f"{tmp_path}/{n}", b"k" * 32, 0, 0.5) for n in names]
    placements.append(Placement("/=root.jpg", "/=root.jpg", b"k" * 32, 1, 0.5))
    data = assignments_csv(placements, str(tmp_path / "clusters"), ["0/x"] * 6)
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert rows[0][:4] == ["path", "key", "cluster", "distance"]
    assert rows[1][0] == "./../=1+1.jpg"
    assert rows[6][0] == "/=root.jpg"
    assert not any(cell[:1] in set("=+-@\t\r") for row in rows for cell in row)
    assert all(row[0].startswith(("./", "/")) for row in rows[1:])


@pytest.mark.parametrize(
    "row",
    [
        "./../a.jpg,00,0,0.5,,./0/a.jpg,no",
        f"a.jpg,{'0' * 64},0,0.5,,./0/a.jpg,no",
        f"./../a.jpg,{'0' * 64},0,0.5,,./../../a.jpg,yes",
        f"./../a.jpg,{'0' * 64},0,0.5,,/etc/passwd,yes",
        f"./../a.jpg,{'0' * 64},x,0.5,,./0/a.jpg,no",
        "./../a.jpg",
        '"open',
    ],
)
def test_a_damaged_or_crafted_table_is_refused_with_its_line(tmp_path, row):
    out = write(
        tmp_path, "assignments.csv", f"path,key,cluster,distance,silhouette,file,moved\r\n{row}\r\n".encode()
    )
    with pytest.raises(ImgclusterError, match=r"assignments.csv, line \d+, is damaged"):
        read_assignments(out)


@pytest.mark.parametrize("read", [read_assignments, read_manifest, read_model])
def test_without_a_clustering_the_message_says_what_to_run(tmp_path, read):
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        read(str(tmp_path / "nothing"))


def test_the_manifest_reads_back_and_is_always_the_same_bytes(tmp_path):
    data = manifest_json(MANIFEST, str(tmp_path))
    assert data == manifest_json(MANIFEST, str(tmp_path))
    assert read_manifest(write(tmp_path, "clustering.json", data)) == MANIFEST
    assert json.loads(data)["schema"] == 1


def test_a_manifest_without_clusters_of_ones_own_is_read_by_earlier_versions(tmp_path):
    assert "own" not in json.loads(manifest_json(MANIFEST, str(tmp_path)))
    some = replace(MANIFEST, own=(1,))
    assert read_manifest(write(tmp_path, "clustering.json", manifest_json(some, str(tmp_path)))) == some


def test_what_is_not_defined_is_null_and_comes_back_as_nan(tmp_path):
    manifest = ClusteringManifest(
        1, 0, "kmeans", "l2", "copy", os.fsdecode(b"/caf\xe9.h5"), (), (4,), 4, 0.0, math.nan
    )
    data = manifest_json(manifest, str(tmp_path))
    assert json.loads(data)["silhouette"] is None
    back = read_manifest(write(tmp_path, "clustering.json", data))
    assert math.isnan(back.silhouette)
    assert back.store == manifest.store


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"schema": 1, "store": 3}', b"[" * 100_000])
def test_a_damaged_manifest_is_named(tmp_path, data):
    with pytest.raises(ImgclusterError, match=r"clustering.json is damaged"):
        read_manifest(write(tmp_path, "clustering.json", data))


def test_a_newer_manifest_asks_for_an_update(tmp_path):
    with pytest.raises(ImgclusterError, match="update imgcluster"):
        read_manifest(write(tmp_path, "clustering.json", b'{"schema": 2}'))


def a_model():
    rng = np.random.default_rng(0)
    plain = FeatureTransform(True, np.empty(0, "f4"), np.empty((0, 4), "f4"), np.empty(0, "f4"), False)
    reduced = FeatureTransform(
        False,
        rng.random(6, "f4"),
        rng.random((2, 6), "f4"),
        rng.random(2, "f4"),
        l2_after=True,
        roots=True,
    )
    return ClusterModel(
        ("a-299-avg-00000000", "b-299-avg-11111111"),
        (plain, reduced),
        rng.random((3, 6), "f4"),
        reduced,
        "agglomerative",
        {"members": rng.random((9, 6), "f4"), "labels": np.arange(9)},
        np.array([4, 0, 2], np.int32),
    )


def test_the_model_reads_back_and_is_always_the_same_bytes(tmp_path):
    model = a_model()
    data = model_npz(model)
    assert data == model_npz(model)
    back = read_model(write(tmp_path, "model.npz", data))
    assert back.spaces == model.spaces
    assert back.algorithm == model.algorithm
    assert back.fitted.keys() == model.fitted.keys()
    for name, array in model.fitted.items():
        np.testing.assert_array_equal(back.fitted[name], array)
    np.testing.assert_array_equal(back.centroids, model.centroids)
    np.testing.assert_array_equal(back.numbers, model.numbers)
    steps = zip((*back.transforms, back.fusion), (*model.transforms, model.fusion), strict=True)
    for ours, theirs in steps:
        for name in ("normalise", "l2_after", "roots"):
            assert getattr(ours, name) is getattr(theirs, name)
        for name in ("mean", "components", "scale"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
            assert getattr(ours, name).shape == getattr(theirs, name).shape


def test_a_model_of_the_first_schema_is_one_of_k_means(tmp_path):
    arrays = {"steps_0": [True, False, False], "mean_0": [], "components_0": np.zeros((0, 4)), "scale_0": []}
    arrays |= {"steps_joint": [False, True, False], "mean_joint": np.ones(4), "scale_joint": np.ones(2)}
    arrays |= {"components_joint": np.eye(2, 4), "schema": 1, "spaces": ["a"], "centroids": np.eye(2)}
    file = io.BytesIO()
    np.savez(file, **arrays)
    model = read_model(write(tmp_path, "model.npz", file.getvalue()))
    assert (model.algorithm, model.numbers.tolist()) == ("kmeans", [0, 1])
    assert model.fitted["centroids"].tolist() == model.centroids.tolist() == [[1, 0], [0, 1]]
    assert model.transforms[0].normalise
    assert model.fusion.l2_after
    assert model.fusion.components.shape == (2, 4)


def test_a_model_is_never_a_pickle(tmp_path):
    arrays = io.BytesIO()
    np.savez(arrays, schema=np.array(1), spaces=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ImgclusterError, match=r"model.npz is damaged"):
        read_model(write(tmp_path, "model.npz", arrays.getvalue()))


@pytest.mark.parametrize("data", [b"", b"PK", b"garbage" * 10, b"\x80\x04K\x01."])
def test_a_damaged_model_is_named(tmp_path, data):
    with pytest.raises(ImgclusterError, match=r"model.npz is damaged"):
        read_model(write(tmp_path, "model.npz", data))


def test_a_model_cut_anywhere_is_named(tmp_path):
    data = model_npz(a_model())
    for end in range(0, len(data), 97):
        with pytest.raises(ImgclusterError, match=r"model.npz is damaged"):
            read_model(write(tmp_path, "model.npz", data[:end]))


@pytest.mark.parametrize("forged", ["Infinity", "1e999", "1" + "0" * 5000, "[[[", '"x"', "99999999999"])
@pytest.mark.parametrize("what", ['"k": 2', '"number": 1', '"size": 1', '"inertia": '])
def test_numbers_that_are_none_are_damage(tmp_path, forged, what):
    out = tmp_path / "clusters"
    clusters = (NamedCluster(0, "", 1), NamedCluster(1, "", 1))
    manifest = replace(MANIFEST, k=2, clusters=clusters, sizes=(1, 1))
    text = manifest_json(manifest, str(out)).decode()
    assert what in text
    name = what.partition(":")[0]
    text = re.sub(rf"{name}: [^,\n]+", lambda _: f"{name}: {forged}", text)
    with contextlib.suppress(ImgclusterError):
        parse_manifest(text.encode(), str(out))
