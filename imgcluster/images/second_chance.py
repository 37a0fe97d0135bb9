"""Whether what was refused earlier may be read now, though the file is the same."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcluster.images.decode import DecodeLimits

_TOO_LARGE = re.compile(r"(\d+) x (\d+) pixels .*--max-pixels")


def may_be_read_now(reason: str, limits: DecodeLimits) -> bool:
    """Tell whether the limits, or a library that is installed now, lift the reason of a refusal.

    So who does what a reason advises need not say besides that failed files are to be tried again.
    """
    too_large = _TOO_LARGE.match(reason)
    if too_large:
        return int(too_large[1]) * int(too_large[2]) <= limits.max_pixels
    if "--accept-truncated" in reason:
        return limits.accept_truncated
    return "imgcluster[heic]" in reason and find_spec("pillow_heif") is not None
