"""The report's files: what is written, what is left alone, what a hostile name comes to."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from report_sample import HOSTILE_NAMES, LABELLED, Sample, square

from imgcluster.errors import FailureCode, ImgclusterError, MissingExtra
from imgcluster.output.report_map import COLOURS
from imgcluster.output.report_pages import PAGE_SIZE, by_confidence
from imgcluster.output.report_summary import ReportImage
from imgcluster.output.report_thumbnails import save_thumbnail
from imgcluster.records import CLUSTERING_MARKER, Failure, NamedCluster


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, css_class: str | None = None) -> list[dict[str, str | None]]:
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and (css_class is None or css_class in (attrs.get("class") or "").split())
        ]


def read(path: str | os.PathLike[str]) -> Elements:
    return Elements(Path(path).read_text(encoding="utf-8"))


def columns_of(out: str) -> dict[str, list[str]]:
    """Return what the scripts are told of all images."""
    script = Path(out, "report", "assets", "columns.js").read_text(encoding="utf-8")
    return dict(json.loads(script.removeprefix("const columns = ").removesuffix(";")))


def paths_on_map(out: str) -> list[str]:
    """Return the paths of the images that are drawn."""
    page = Path(out, "report", "map.html").read_text(encoding="utf-8")
    paths = columns_of(out)["path"]
    rows = re.findall(r'\["row",\{.*?"data":"(.*?)"', page)
    return [paths[row] for each in rows for row in np.frombuffer(gzip.decompress(b64decode(each)), np.int32)]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path).add([f"{i}.jpg" for i in range(30)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A report that tests look at and leave as it is."""
    sample = Sample(tmp_path_factory.mktemp("written")).add([f"{i}.jpg" for i in range(30)])
    sample.write()
    return sample


def test_the_report_is_one_page_to_open_and_a_folder(sample: Sample) -> None:
    page = sample.write()
    assert page == os.path.join(sample.out, "report.html")
    assert sorted(os.listdir(sample.out)) == [CLUSTERING_MARKER, "report", "report.html"]
    assert sorted(os.listdir(os.path.join(sample.out, "report"))) == [
        "assets", "cluster-0.html", "cluster-1.html", "cluster-2.html",
        "images.html", "map.html", "thumbnails",
    ]  # fmt: skip


def test_every_file_that_a_page_refers_to_is_there(written: Sample) -> None:
    for page in (Path(written.out, "report.html"), *Path(written.out, "report").glob("*.html")):
        elements = read(page).elements
        links = [a.get("href") or a.get("src") for _, a in elements if a.get("href") or a.get("src")]
        assert len(links) > 10 or page.name in {"map.html", "images.html"}
        for link in links:
            if link and not link.startswith(("#", "data:")):
                target = os.path.join(os.fsencode(page.parent), unquote_to_bytes(link.partition("#")[0]))
                assert os.path.isfile(target), (page.name, link)


def test_no_page_refers_to_another_machine_or_holds_a_script_of_its_own(written: Sample) -> None:
    for page in (Path(written.out, "report.html"), *Path(written.out, "report").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert "http:" not in text
        assert "https:" not in text
        elements = Elements(text)
        for script in elements.all("script"):
            assert script.get("src") or script["type"] == "application/json"
        for _, attributes in elements.elements:
            assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_thumbnails_keep_their_room_and_are_loaded_when_seen(written: Sample) -> None:
    images = [i for i in read(Path(written.out, "report", "cluster-0.html")).all("img") if i.get("src")]
    assert len(images) == 10
    for image in images:
        assert (image["loading"], image["width"], image["height"]) == ("lazy", "160", "160")
        assert image["alt"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_few_images_make_a_report_too(tmp_path: Path, count: int) -> None:
    sample = Sample(tmp_path, k=min(count, 2)).add([f"{i}.jpg" for i in range(count)])
    page = read(sample.write())
    assert f"{count} image" in page.text
    pictures = [image for image in page.all("img") if image.get("src")]
    assert len(pictures) == count
    assert os.path.exists(os.path.join(sample.out, "report", "map.html")) == (count > 0)


def test_the_overview_is_a_cover_for_each_cluster_with_its_count_and_a_word(sample: Sample) -> None:
    page = read(sample.write(sample.summary(silhouettes=(0.5, 0.1, float("nan")))))
    covers = page.all("a", "cover")
    assert [cover["href"] for cover in covers] == [f"report/cluster-{n}.html" for n in range(3)]
    assert len([image for image in page.all("img") if image.get("src")]) == 12
    assert len(page.all("span", "clear")) == len(page.all("span", "mixed")) == 1
    assert page.text.count("10 images") == 3
    assert read(Path(sample.out, "report", "cluster-1.html")).all("span", "mixed")


def test_a_tile_names_the_folder_too(written: Sample) -> None:
    page = read(Path(written.out, "report", "cluster-0.html"))
    assert len(page.all("span", "folder")) == len(page.all("a", "tile")) == 10
    assert page.text.split().count("pictures") == 10


def test_all_images_are_in_the_data_that_is_searched(sample: Sample) -> None:
    sample.images = [replace(image, date="2024-05-01 10:00") for image in sample.images]
    sample.write()
    columns = columns_of(sample.out)
    assert columns["name"] == [image.name for image in sample.images]
    assert columns["cluster"] == [image.cluster for image in sample.images]
    assert set(columns["date"]) == {"2024-05-01 10:00"}


def test_a_preview_stands_for_a_file_that_browsers_do_not_show(sample: Sample) -> None:
    key = sample.images[0].key
    save_thumbnail(sample.cache, key, square(0), preview=True)
    sample.write()
    previews = [
        tile.get("data-preview") for tile in read(Path(sample.out, "report/cluster-0.html")).all("a", "tile")
    ]
    assert [preview for preview in previews if preview] == [f"thumbnails/{key[:2]}/{key}-1200.jpg"]
    assert Path(sample.out, "report", f"thumbnails/{key[:2]}/{key}-1200.jpg").is_file()
    assert columns_of(sample.out)["preview"].count(1) == 1


def test_typical_images_come_first_then_those_least_sure() -> None:
    def image(name: str, distance: float, silhouette: float) -> ReportImage:
        return ReportImage("0" * 64, f"/{name}", name, 0, distance=distance, silhouette=silhouette)

    images = [image("far", 9, 0.5), image("near", 1, 0.9), image("between", 5, -0.1), image("middle", 3, 0.7)]
    typical, doubtful, others = by_confidence(images)
    assert [i.file for i in typical] == ["near", "middle"]
    assert [i.file for i in doubtful] == ["between", "far"]
    assert others == []


def test_every_image_of_a_large_cluster_stands_on_exactly_one_of_its_pages(tmp_path: Path) -> None:
    sample = Sample(tmp_path, k=1)
    sample.images = [
        ReportImage(f"{i:064x}", f"/p/{i}.jpg", f"/p/{i}.jpg", 0, distance=float(i))
        for i in range(2 * PAGE_SIZE + 1)
    ]
    sample.write()
    pages = [read(Path(sample.out, "report", f"cluster-0{n}.html")) for n in ("", "-2", "-3")]
    paths = [[tile["title"] for tile in page.all("a", "tile")] for page in pages]
    assert [len(p) for p in paths] == [334, 334, 333]
    assert {path for p in paths for path in p} == {image.path for image in sample.images}
    assert "This page shows 334 of 1,001." in pages[0].text
    assert "1,001 images" in read(Path(sample.out, "report.html")).text


def test_the_pages_grow_by_less_than_two_kilobytes_per_image(tmp_path: Path) -> None:
    sizes = []
    for count in (1_000, 3_000):
        sample = Sample(tmp_path / str(count), k=2)
        sample.images = [
            ReportImage(
                f"{i:064x}", f"/home/someone/Pictures/2024/IMG_{i}.jpg", f"0/IMG_{i}.jpg", i % 2, x=i, y=0
            )
            for i in range(count)
        ]
        sample.write()
        sizes.append(sum(os.path.getsize(path) for path in Path(sample.out).rglob("*.*") if path.is_file()))
    assert sizes[1] - sizes[0] < 2_000 * 2_000  # leaves 13 KB of the 15 for the thumbnail


def test_names_are_text_and_urls_are_encoded(tmp_path: Path) -> None:
    sample = Sample(tmp_path).add(HOSTILE_NAMES)
    sample.write()
    seen = set()
    for n in range(sample.k):
        page = read(Path(sample.out, "report", f"cluster-{n}.html"))
        assert all(script["src"] for script in page.all("script"))
        for image in page.all("img"):
            assert set(image) <= {"src", "alt", "width", "height", "loading", "decoding"}
        for tile in page.all("a", "tile"):
            link = tile["href"] or ""
            assert re.fullmatch(r"\.\./[A-Za-z0-9._~/%-]+", link)
            seen.add(os.path.basename(unquote_to_bytes(link)))
            assert "\n" not in (tile["title"] or "")
            assert "\u202e" not in (tile["title"] or "")
    assert seen == {os.fsencode(name) for name in HOSTILE_NAMES}
    columns = columns_of(sample.out)
    assert {os.path.basename(unquote_to_bytes(link)) for link in columns["link"]} == seen
    assert "<img src=x onerror=alert(1)>.jpg" in columns["name"]


def test_a_path_is_copied_as_it_is_and_as_its_url_where_it_is_no_text(tmp_path: Path) -> None:
    sample = Sample(tmp_path, k=1).add(["line\nbreak.jpg", os.fsdecode(b"\xff.jpg"), "plain.jpg"])
    sample.write()
    tiles = read(Path(sample.out, "report", "cluster-0.html")).all("a", "tile")
    folder = tmp_path / "pictures"
    copied = {tile.get("data-copy", tile["title"]) for tile in tiles}
    assert copied == {f"file://{folder}/line%0Abreak.jpg", f"file://{folder}/%FF.jpg", f"{folder}/plain.jpg"}


def test_hostile_text_elsewhere_is_text_too(sample: Sample) -> None:
    evil = '"><script>alert(1)</script>\udcff'
    summary = sample.summary(
        settings=(("Store", evil),),
        failures=(Failure(evil, evil, FailureCode.DAMAGED),),
        projection=evil,
        labelled=replace(LABELLED, labels=(evil,)),
    )
    sample.images = [replace(image, true_class=evil, wrong=image.cluster > 0) for image in sample.images]
    sample.write(summary)
    for page in ("report.html", "report/cluster-1.html", "report/map.html"):
        scripts = read(Path(sample.out, page)).all("script")
        assert all(script.get("src") or script["type"] == "application/json" for script in scripts)


def test_a_cluster_whose_name_is_no_text_is_chosen_by_its_number(sample: Sample) -> None:
    clusters = (NamedCluster(0, "cats", 10), NamedCluster(1, "caf\udce9", 10), NamedCluster(2, "", 10))
    sample.write(sample.summary(clusters=clusters))
    values = [each["value"] for each in read(Path(sample.out, "report.html")).all("option")]
    assert values[:4] == ["cats", "1", "2", "unsorted"]
    assert "caf\ufffd (1)" in Path(sample.out, "report", "cluster-1.html").read_text(encoding="utf-8")


def test_equal_files_are_one_image_to_what_is_chosen(sample: Sample) -> None:
    sample.images.append(replace(sample.images[4], path="/elsewhere/again.jpg"))
    sample.write()
    columns = columns_of(sample.out)
    assert columns["image"] == [*range(30), 4]
    assert columns["key"] == [image.key for image in sample.images]
    tiles = read(Path(sample.out, "report", "cluster-1.html")).all("a", "tile")
    assert [tile["data-image"] for tile in tiles].count("4") == 2


def test_the_map_draws_a_sample_above_its_limit_and_says_so(sample: Sample) -> None:
    sample.write(map_limit=12)
    first = paths_on_map(sample.out)
    assert len(first) == len(set(first)) == 12
    assert "12 of 30 images shown" in read(Path(sample.out, "report", "map.html")).text
    sample.write(map_limit=12)
    assert paths_on_map(sample.out) == first
    sample.write(map_limit=12, seed=1)
    assert paths_on_map(sample.out) != first


def test_without_places_there_is_no_map_and_no_link_to_one(sample: Sample) -> None:
    sample.write()
    sample.images = [replace(image, x=float("nan")) for image in sample.images]
    page = sample.write()
    assert "map.html" not in Path(page).read_text(encoding="utf-8")
    assert not os.path.exists(os.path.join(sample.out, "report", "map.html"))


def test_wrong_images_are_marked_and_the_table_shows_where_they_went(sample: Sample) -> None:
    sample.images = [replace(image, true_class="cat", wrong=image.cluster != 0) for image in sample.images]
    summary = sample.summary(labelled=LABELLED)
    sample.write(summary)
    assert not read(Path(sample.out, "report", "cluster-0.html")).all("a", "wrong")
    cluster = read(Path(sample.out, "report", "cluster-1.html"))
    assert len(cluster.all("a", "wrong")) == 10
    assert cluster.text.count("label: cat") == 10
    overview = read(Path(sample.out, "report.html"))
    assert len(overview.all("td", "match")) == 1
    assert len(overview.all("td", "miss")) == 2


def test_failures_are_listed_and_counted(sample: Sample) -> None:
    failures = tuple(
        Failure(f"/photos/{i}.jpg", "not an image", FailureCode.NOT_AN_IMAGE) for i in range(300)
    )
    page = read(sample.write(sample.summary(failures=failures)))
    assert "200 of 300 shown" in page.text
    assert "/photos/199.jpg" in page.text


def test_an_image_without_thumbnail_is_shown_by_name(sample: Sample) -> None:
    os.unlink(os.path.join(sample.cache, sample.images[0].key[:2], f"{sample.images[0].key}.jpg"))
    sample.write()
    page = read(Path(sample.out, "report", "cluster-0.html"))
    assert len(page.all("span", "blank")) == 1
    assert "0.jpg" in page.text


def test_a_second_report_with_fewer_clusters_leaves_no_page_behind(sample: Sample) -> None:
    sample.write()
    Path(sample.out, "report", "notes.txt").write_text("mine", encoding="utf-8")
    sample.k = 1
    sample.images = [replace(image, cluster=0) for image in sample.images[:5]]
    sample.write()
    assert sorted(os.listdir(os.path.join(sample.out, "report"))) == [
        "assets", "cluster-0.html", "images.html", "map.html", "notes.txt", "thumbnails",
    ]  # fmt: skip
    kept = Path(sample.out, "report", "thumbnails").glob("*/*")
    assert sorted(path.name for path in kept) == sorted(f"{image.key}.jpg" for image in sample.images)


def test_the_same_report_is_the_same_bytes(sample: Sample) -> None:
    sample.write()
    pages = (Path(sample.out, "report.html"), Path(sample.out, "report", "cluster-0.html"))
    first = [page.read_bytes() for page in pages]
    sample.write()
    assert [page.read_bytes() for page in pages] == first


@pytest.mark.parametrize("library", ["jinja2", "bokeh"])
def test_without_the_extra_one_line_names_it_and_nothing_is_written(
    sample: Sample, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[report\]'"):
        sample.write()
    assert os.listdir(sample.out) == [CLUSTERING_MARKER]


def test_a_folder_that_cannot_be_written_is_named(sample: Sample) -> None:
    Path(sample.out).write_text("a file", encoding="utf-8")
    with pytest.raises(ImgclusterError, match=re.escape(sample.out)):
        sample.write()


@pytest.mark.parametrize("background", ["#ffffff", "#1c1f23"])
def test_points_stand_out_from_the_light_and_the_dark_map(background: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in COLOURS:
        dark, light = sorted((luminance(colour), luminance(background)))
        assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG, for graphics
