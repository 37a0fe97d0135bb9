"""Decodes or reads mutated files one after the other, tells before and after each: a child of the fuzz run.

usage: fuzz_worker.py SEED FIRST COUNT < paths of the originals, one a line
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

from imgcluster.errors import ImgclusterError, UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.picture_key import picture_key
from imgcluster.workflows import apply_plan, duplicates
from imgcluster.workflows.edits import read_edits
from imgcluster.workflows.labels import labels_of

# Mutated headers may claim a lot; what is tested is the decoders, not the machine's memory.
LIMITS = DecodeLimits(max_pixels=20_000_000)


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Flip some bytes, or cut, repeat, remove or zero a piece."""
    changed = bytearray(data)
    kind = random.integers(0, 6)
    if kind <= 1:
        # Headers are where decoders are led astray.
        reach = len(changed) if kind else min(len(changed), 600)
        for position in random.integers(0, reach, random.integers(1, 12)):
            changed[position] = random.integers(0, 256)
        return bytes(changed)
    start, stop = sorted(int(position) for position in random.integers(0, len(changed) + 1, 2))
    stop = min(stop, start + 2000)
    piece = changed[start:stop]
    if kind == 2:
        return bytes(changed[:start])
    replacement = {3: piece * 2, 4: b"", 5: bytes(len(piece))}[int(kind)]
    return bytes(changed[:start] + replacement + changed[stop:])


def read_table(path: Path, data: bytes) -> str:
    """Read a damaged table in all the ways in which tables are read."""
    path.write_bytes(data)
    answers = set()
    for read in READERS:
        try:
            read(str(path))
            answers.add("read")
        except ImgclusterError as refusal:
            answers.add("refused" if str(refusal) and "\n" not in str(refusal) else f"bad reason {refusal!r}")
        except Exception as error:  # noqa: BLE001  any other exception is what the run looks for
            answers.add(f"raised {error!r}")
    return max(answers - {"read", "refused"}, default="read" if "read" in answers else "refused")


READERS = (
    lambda path: labels_of(path, [f"{Path(path).parent}/photos/{number}.jpg" for number in range(6)]),
    lambda path: list(duplicates._decisions(path)),
    apply_plan._read,
    lambda path: read_edits(path, lambda _: bytes(32)),
)


def outcome(data: bytes, number: int) -> str:
    limits = DecodeLimits(LIMITS.max_pixels, accept_truncated=number % 3 == 0)
    try:
        picture_key(data)
        decoded = decode(data, limits, at_least=(None, 100)[number % 2])
    except UnreadableImage as refusal:
        return "refused" if str(refusal) and "\n" not in str(refusal) else f"bad reason {refusal!r}"
    except Exception as error:  # noqa: BLE001  any other exception is what the run looks for
        return f"raised {error!r}"
    right = decoded.pixels.dtype == np.uint8 and decoded.pixels.ndim == 3 and decoded.pixels.shape[2] == 3
    return "decoded" if right and decoded.pixels.size else f"bad pixels {decoded.pixels.shape}"


def main() -> None:
    seed, first, count = map(int, sys.argv[1:])
    originals = [Path(line) for line in sys.stdin.read().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        try_all(originals, range(first, first + count), seed, Path(folder))


def try_all(originals: list[Path], numbers: range, seed: int, folder: Path) -> None:
    for number in numbers:
        random = np.random.default_rng((seed, number))
        path = originals[number % len(originals)]
        data = mutate(path.read_bytes(), random)
        print("begin", number, path.name, flush=True)
        is_table = path.suffix == ".csv"
        result = read_table(folder / path.name, data) if is_table else outcome(data, number)
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
        print("end", number, memory, result, flush=True)


if __name__ == "__main__":
    main()
