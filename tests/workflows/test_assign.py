"""What `assign` promises: the answer that `cluster` gave, and nothing out of another feature space."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from clusterings import COLOURS, IMAGES, Desk, desk_with_photos
from fakes import FakeNetwork, FakeSource, write_image

from imgcluster.errors import ImgclusterError, StoreError, UsageError
from imgcluster.images.file_bytes import content_key
from imgcluster.networks.choice import NetworkChoice
from imgcluster.output.manifest import read_assignments
from imgcluster.records import Embeddings, FeatureSpace, Keys, NetworkSource, key_rows
from imgcluster.store.store import FeatureStore
from imgcluster.workflows import embedded_images
from imgcluster.workflows.assign import AssignOptions, AssignResult, assign
from imgcluster.workflows.extract import ExtractOptions, extract

SPACE = FeatureSpace("vgg16", "00" * 32, 48, pooling="max")
OTHER = FeatureSpace("vgg19", "11" * 32, 32)


@dataclass
class Networks:
    """Chooses stand-ins for the networks of some feature spaces, and remembers what was asked for."""

    spaces: tuple[FeatureSpace, ...] = (SPACE, OTHER)
    network: FakeNetwork = field(default_factory=FakeNetwork)
    choices: list[NetworkChoice] = field(default_factory=list)

    def __call__(self, choice: NetworkChoice, notify: object) -> NetworkSource:
        self.choices.append(choice)
        (space,) = [space for space in self.spaces if space.network == choice.network]
        return FakeSource(self.network, space)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = desk_with_photos(tmp_path)
    desk.extract(source=FakeSource(space=SPACE))
    desk.cluster()
    return desk


def run(desk: Desk, *paths: Path, choose: Networks | None = None, **options: object) -> AssignResult:
    settings = AssignOptions(clusters=str(desk.out), **options)  # type: ignore[arg-type]
    return assign(paths, settings, choose=choose or Networks(), progress=desk.progress)


def new_image(desk: Desk) -> Path:
    return write_image(desk.folder / "new" / "new.png", (30, 200, 30), noise=77)


def test_images_that_were_clustered_get_the_same_answer_and_no_network_is_looked_for(desk: Desk) -> None:
    choose = Networks()
    result = run(desk, desk.photos, choose=choose)
    clustered = read_assignments(str(desk.out))
    assert [(each.path, each.cluster) for each in result.images] == [(p.path, p.cluster) for p in clustered]
    assert [each.distance for each in result.images] == pytest.approx(
        [p.distance for p in clustered], abs=1e-6
    )
    assert (result.new, choose.choices) == (0, [])


def test_embeddings_are_read_a_few_at_a_time_and_the_answers_are_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, read, sizes = run(desk, desk.photos), FeatureStore.read, []

    def counted(store: FeatureStore, space: str, keys: Keys) -> Embeddings:
        sizes.append(len(keys))
        return read(store, space, keys)

    monkeypatch.setattr(FeatureStore, "read", counted)
    monkeypatch.setattr(embedded_images, "_BLOCK_ROWS", 4)
    assert run(desk, desk.photos) == whole
    assert sizes == [4, 4, 4, 3]


def test_new_images_are_embedded_and_go_to_the_nearest_cluster(desk: Desk) -> None:
    new = [
        write_image(desk.folder / "new" / f"{name}.png", colour, noise=50) for name, colour in COLOURS.items()
    ]
    choose = Networks()
    result = run(desk, desk.folder / "new", choose=choose)
    found = {each.path: each.cluster for each in result.images}
    assert result.new == sum(choose.network.batches) == 3
    for path in new:
        (known,) = {p.cluster for p in read_assignments(str(desk.out)) if f"/{path.stem}/" in p.original}
        assert found[str(path)] == known


def test_the_network_is_the_one_of_the_clustering_in_all_that_decides(desk: Desk) -> None:
    choose = Networks()
    run(desk, new_image(desk), choose=choose, precision="float32", runtime="tensorflow")
    wanted = NetworkChoice("vgg16", "imagenet", "max", 48, "float32", "tensorflow")
    assert choose.choices == [wanted]


def test_int8_embeddings_are_made_in_int8(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    space = replace(SPACE, quantisation="22" * 32)
    desk.extract(source=FakeSource(space=space))
    desk.cluster()
    choose = Networks((space,))
    run(desk, new_image(desk), choose=choose)
    assert choose.choices[0].precision == "int8"
    with pytest.raises(UsageError, match="leave out --precision float32"):
        run(desk, desk.photos, precision="float32")


def test_float32_embeddings_are_not_made_in_int8(desk: Desk) -> None:
    with pytest.raises(UsageError, match="leave out --precision int8"):
        run(desk, desk.photos, precision="int8")


def test_the_weights_are_those_that_the_embeddings_were_made_with(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    network = FakeNetwork(provenance={"weights": "/weights/mine.h5"})
    desk.extract(source=FakeSource(network, SPACE))
    desk.cluster()
    choose = Networks()
    run(desk, new_image(desk), choose=choose)
    assert choose.choices[0].weights == "/weights/mine.h5"
    write_image(desk.folder / "newer.png", (1, 2, 3))
    run(desk, desk.folder / "newer.png", choose=choose, weights="random")
    assert choose.choices[1].weights == "random"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": "33" * 32}, r"weights 000000000000… \(SHA-256\), and --weights x.h5 gives 333333333333"),
        ({"quantisation": "33" * 32}, "another int8 model"),
        ({"preprocessing": 2}, "another imgcluster"),
    ],
)
def test_what_would_give_another_feature_space_is_refused(
    desk: Desk, change: dict[str, object], says: str
) -> None:
    choose = Networks((replace(SPACE, **change),))  # type: ignore[arg-type]
    with pytest.raises(ImgclusterError, match=says):
        run(desk, new_image(desk), choose=choose, weights="x.h5")
    assert choose.network.batches == []


def test_files_that_cannot_be_read_are_told(desk: Desk) -> None:
    broken = desk.folder / "new" / "broken.png"
    image = new_image(desk)
    broken.write_bytes(b"text")
    result = run(desk, desk.folder / "new")
    assert [each.path for each in result.images] == [str(image)]
    assert [failure.path for failure in result.failures] == [str(broken)]


def test_nothing_is_fitted_or_filed_again(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.out.rglob("*") if path.is_file()}
    run(desk, new_image(desk))
    assert {path: path.read_bytes() for path in desk.out.rglob("*") if path.is_file()} == before


def test_a_table_is_written_on_demand(desk: Desk) -> None:
    table = desk.folder / "assigned.csv"
    result = run(desk, desk.photos, out=str(table))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(image.path, image.cluster) for image in result.images]
    assert [(row["path"], int(row["cluster"])) for row in rows] == expected


def test_a_table_that_cannot_be_written_shows_before_anything_is_embedded(desk: Desk) -> None:
    choose, photo = Networks(), new_image(desk)
    for out, reason in ((photo, "holds something else"), (desk.folder / "nowhere" / "t.csv", "No such file")):
        with pytest.raises(ImgclusterError, match=reason):
            run(desk, photo, choose=choose, out=str(out))
    assert choose.network.batches == []


def test_new_images_are_embedded_in_each_space_of_a_joint_clustering(desk: Desk) -> None:
    desk.extract(source=FakeSource(space=OTHER))
    desk.cluster(3, network=("vgg16", "vgg19"))
    clustered = {p.path: p.cluster for p in read_assignments(str(desk.out))}
    assert {each.path: each.cluster for each in run(desk, desk.photos).images} == clustered
    new, broken = new_image(desk), desk.folder / "new" / "broken.png"
    broken.write_bytes(b"text")
    choose = Networks()
    result = run(desk, desk.folder / "new", choose=choose)
    assert [choice.network for choice in choose.choices] == ["vgg16", "vgg19"]
    (green,) = {cluster for path, cluster in clustered.items() if "/green/" in path}
    assert [(each.path, each.cluster) for each in result.images] == [(str(new), green)]
    assert [failure.path for failure in result.failures] == [str(broken)]


def test_another_store_may_hold_the_embeddings(desk: Desk) -> None:
    other = str(desk.folder / "other.h5")
    extract([desk.photos], ExtractOptions(store=other), source=FakeSource(space=SPACE))
    Path(desk.store).unlink()
    assert len(run(desk, desk.photos, store=other).images) == 15
    with pytest.raises(StoreError, match="no feature store"):
        run(desk, desk.photos)


def test_without_a_clustering_it_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        assign([desk.photos], AssignOptions(clusters=str(desk.folder / "nowhere")), choose=Networks())


def test_an_embedding_with_values_that_are_no_numbers_is_left_out_and_named(desk: Desk) -> None:
    image = write_image(desk.folder / "broken.png", (9, 9, 9))
    with FeatureStore(desk.store, "a") as store:
        store.append(
            SPACE.name, key_rows([content_key(image.read_bytes())]), np.full((1, 12), np.nan, np.float32)
        )
    assigned = run(desk, image, desk.photos).images
    assert len(assigned) == IMAGES
    assert str(image) not in {one.path for one in assigned}
    assert desk.progress.said(str(image))
