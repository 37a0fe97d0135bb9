"""A part of the images that is told by their paths alone, so that machines share them out without a word."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, from 1 on; every path lies in one of them, on every machine in the same."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse ``3/16``. ValueError where that is no part."""
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        shard = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count:
            raise ValueError(f"{text} is no part of a whole: write 1/16 to 16/16")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def store(self) -> str:
        """The name of the store that keeps this part where no other is given."""
        return f"features-{self.number}-of-{self.count}.h5"

    def holds(self, path: str) -> bool:
        """Whether an absolute path lies in this part."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(os.fsencode(path)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1
