"""What `report` promises of a clustering that `cluster` made."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusterings import IMAGES, Desk, desk_with_photos

from imgcluster.errors import ImgclusterError, StoreError
from imgcluster.workflows.report import ReportResult, report
from imgcluster.workflows.undo import undo


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    desk.cluster()
    return desk


def run(desk: Desk, out: Path | None = None, labels: str | None = None) -> ReportResult:
    thumbnails = str(desk.folder / "thumbnails")
    return report(out or desk.out, thumbnails=thumbnails, labels=labels, progress=desk.progress)


def all_text(out: Path) -> str:
    return "".join(
        path.read_text() for path in [out / "report.html", *sorted((out / "report").glob("*.html"))]
    )


def test_the_store_may_lie_elsewhere_by_now(desk: Desk) -> None:
    elsewhere = desk.folder / "elsewhere.h5"
    Path(desk.store).rename(elsewhere)
    with pytest.raises(StoreError, match="--store"):
        run(desk)
    again = report(
        desk.out, store=str(elsewhere), thumbnails=str(desk.folder / "thumbnails"), progress=desk.progress
    )
    assert again.images == IMAGES


def test_there_is_a_page_to_open_on_which_every_image_is_found(desk: Desk) -> None:
    result = run(desk)
    assert result.page == str(desk.out / "report.html")
    assert (result.images, result.thumbnails_made) == (IMAGES, IMAGES)
    text = all_text(desk.out)
    assert all(f"red{number}.png" in text for number in range(5))


def test_a_second_report_with_another_k_makes_no_thumbnails(desk: Desk) -> None:
    run(desk)
    desk.cluster(2)
    assert run(desk).thumbnails_made == 0
    desk.cluster(4, out=desk.folder / "others")
    assert run(desk, desk.folder / "others").thumbnails_made == 0


def test_a_report_can_be_written_again_and_is_replaced_by_the_next_clustering(desk: Desk) -> None:
    run(desk)
    run(desk)
    desk.cluster(2)
    assert not (desk.out / "report.html").exists()
    assert not (desk.out / "report").exists()


def test_undo_takes_the_report_away(desk: Desk) -> None:
    run(desk)
    undo(desk.out)
    assert not desk.out.exists()


def test_a_foreign_file_inside_the_report_survives_all_of_that(desk: Desk) -> None:
    run(desk)
    note = desk.out / "report" / "note.txt"
    note.write_text("mine")
    run(desk)
    assert note.read_text() == "mine"
    with pytest.raises(ImgclusterError, match=r"note\.txt"):
        desk.cluster(2)
    desk.cluster(2, force=True)
    assert note.read_text() == "mine"
    run(desk)
    undo(desk.out)
    assert [path for path in desk.out.rglob("*") if path.is_file()] == [note]


def test_labels_bring_a_table_of_the_mistakes(desk: Desk) -> None:
    run(desk)
    plain = all_text(desk.out)
    run(desk, labels="folders")
    labelled = all_text(desk.out)
    assert "accuracy" not in plain.lower()
    assert "accuracy" in labelled.lower()


def test_moved_images_are_shown_where_they_are(desk: Desk) -> None:
    desk.cluster(mode="move")
    assert run(desk).thumbnails_made == IMAGES
    assert not any("cannot be read" in note for note in desk.progress.notes)


def test_one_image_is_enough(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract(desk.photos / "red" / "red0.png")
    desk.cluster(1)
    assert run(desk).images == 1


def test_the_report_does_not_depend_on_the_images_being_there(desk: Desk) -> None:
    (desk.photos / "red" / "red0.png").unlink()
    result = run(desk)
    assert (result.images, result.thumbnails_made) == (IMAGES, IMAGES - 1)
    assert desk.progress.said("1 images cannot be read any more")


def test_without_a_clustering_it_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        run(desk, desk.photos)
