"""What the shared records promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgcluster.records import STAT_GRANULARITY_NS, FeatureSpace, ImageFile, PathEntry

SPACE = FeatureSpace("inception_v3", "ab" * 32, 299)


def test_a_space_has_a_short_readable_name() -> None:
    assert SPACE.name.startswith("inception_v3-299-avg-")
    assert len(SPACE.name.rsplit("-", 1)[1]) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"network": "vgg16"},
        {"weights": "cd" * 32},
        {"input_size": 224},
        {"pooling": "max"},
        {"preprocessing": 2},
        {"quantisation": "ef" * 32},
        {"crop": 0.875},
        {"interpolation": "bicubic"},
        {"normalisation": "rgb mean 0 0 0 std 1 1 1"},
    ],
)
def test_whatever_changes_the_meaning_changes_the_name(change: dict[str, str]) -> None:
    assert replace(SPACE, **change).name != SPACE.name


def test_spaces_keep_the_names_that_stores_have() -> None:
    """Literal names, as the first release wrote them."""
    assert FeatureSpace("inception_v3", "ab" * 32, 299).name == "inception_v3-299-avg-be2a03de"
    int8 = FeatureSpace("vgg16", "ab" * 32, 320, "max", 1, "cd" * 32)
    assert int8.name == "vgg16-320-max-int8-795119fe"


def test_an_entry_describes_the_unchanged_file() -> None:
    entry = PathEntry("/a.jpg", 10, 5_000_000_000, 5_000_000_000 + 2 * STAT_GRANULARITY_NS, b"k" * 32)
    assert entry.describes(ImageFile("/a.jpg", 10, 5_000_000_000))
    assert not entry.describes(ImageFile("/a.jpg", 11, 5_000_000_000))
    assert not entry.describes(ImageFile("/a.jpg", 10, 5_000_000_001))


def test_a_file_changed_within_the_clocks_granularity_of_its_reading_is_not_trusted() -> None:
    entry = PathEntry("/a.jpg", 10, 5_000_000_000, 5_000_000_001, b"k" * 32)
    assert not entry.describes(ImageFile("/a.jpg", 10, 5_000_000_000))
