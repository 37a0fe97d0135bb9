from __future__ import annotations

import pytest
from cluster_files import contents, make, names_in, photograph, placed

from imgcluster.errors import ImgclusterError
from imgcluster.output.additions import add_files
from imgcluster.output.undo import undo
from imgcluster.records import SilentProgress


@pytest.fixture
def clusters(tmp_path):
    make([placed(photograph(tmp_path / "photos" / "a.jpg"))], tmp_path / "clusters")
    return tmp_path / "clusters"


def add(out, files):
    add_files(str(out), files, progress=SilentProgress())


def test_what_is_added_is_ours_and_goes_with_the_clustering(clusters, tmp_path):
    for page in (b"one", b"two"):
        add(clusters, {"report.html": page, "report/0.html": page})
        assert contents(clusters)["report/0.html"] == page
    make([placed(str(tmp_path / "photos" / "a.jpg"))], clusters)
    assert "report.html" not in names_in(clusters)
    add(clusters, {"report.html": b"three"})
    undo(str(clusters), progress=SilentProgress())
    assert names_in(tmp_path) == ["photos"]


def test_what_is_not_ours_is_never_overwritten(clusters):
    photograph(clusters / "report.html", b"mine")
    before = contents(clusters)
    with pytest.raises(ImgclusterError, match=r"report.html was not written by imgcluster"):
        add(clusters, {"a.html": b"", "report.html": b"ours"})
    assert contents(clusters) == before


def test_nothing_is_written_elsewhere(clusters, tmp_path):
    (clusters / "report").symlink_to(tmp_path / "photos")
    with pytest.raises(ImgclusterError, match="leads out of"):
        add(clusters, {"report/x.html": b""})
    with pytest.raises(ValueError, match="not a path below"):
        add(clusters, {"../x.html": b""})
    with pytest.raises(ImgclusterError, match="no clustering in"):
        add(tmp_path / "photos", {"x.html": b""})
    with pytest.raises(ImgclusterError, match="No such file"):
        add(tmp_path / "no" / "such", {"x.html": b""})
    assert names_in(tmp_path / "photos") == ["a.jpg"]
