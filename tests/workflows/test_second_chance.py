from __future__ import annotations

import sys

import picture_files as files
import pytest
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.records import Failure
from imgcluster.workflows import extraction_plan
from imgcluster.workflows.extraction_plan import is_retryable


def refusal(data: bytes, limits: DecodeLimits) -> Failure:
    with pytest.raises(UnreadableImage) as refused:
        decode(data, limits)
    return failed(refused.value)


def failed(refused: UnreadableImage) -> Failure:
    return Failure("a", str(refused), refused.code, pixels=refused.pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_large_picture_has_one_when_the_limit_is_raised_far_enough(kind: str) -> None:
    data = files.saved(Image.new("RGB", (300, 200)), kind)
    reason = refusal(data, DecodeLimits(max_pixels=1000))
    assert not is_retryable(reason, DecodeLimits(max_pixels=59_999))
    assert is_retryable(reason, DecodeLimits(max_pixels=60_000))


def test_the_advice_names_the_command_that_has_the_option() -> None:
    data = files.saved(Image.fromarray(files.photograph(200, 150)), "JPEG")
    assert "`imgcluster extract --max-pixels`" in refusal(data, DecodeLimits(max_pixels=1000)).reason
    cut = refusal(data[: len(data) // 2], DecodeLimits()).reason
    assert "`imgcluster extract --accept-truncated`" in cut


def test_a_truncated_picture_has_one_when_such_are_accepted() -> None:
    data = files.saved(Image.fromarray(files.photograph(200, 150)), "JPEG")
    reason = refusal(data[: len(data) // 2], DecodeLimits())
    assert not is_retryable(reason, DecodeLimits())
    assert is_retryable(reason, DecodeLimits(accept_truncated=True))


@pytest.mark.parametrize("data", [b"Dear diary", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_others_have_none(data: bytes) -> None:
    reason = refusal(data, DecodeLimits())
    assert not is_retryable(reason, DecodeLimits(10**12, accept_truncated=True))


def test_heic_has_one_once_its_reader_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImage) as refused:
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr(extraction_plan, "find_spec", lambda name: None)
    assert not is_retryable(failed(refused.value), DecodeLimits())
    monkeypatch.setattr(extraction_plan, "find_spec", lambda name: name)
    assert is_retryable(failed(refused.value), DecodeLimits())
