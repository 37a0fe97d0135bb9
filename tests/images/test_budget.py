"""Decoders share a budget of memory: one huge picture at a time, none too large, none stuck."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.memory import MemoryBudget

KINDS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000"]


@pytest.mark.parametrize("sizes", [[60] * 12, [150] * 6, [150, 10, 60, 40] * 4])
def test_what_is_taken_together_stays_within_the_budget_or_stands_alone(sizes):
    budget = MemoryBudget(total=100)
    lock, taken, most = threading.Lock(), [], []

    def take(size: int) -> None:
        with budget.taking(size):
            with lock:
                taken.append(size)
                most.append(list(taken))
            threading.Event().wait(0.002)
            with lock:
                taken.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, sizes))
    assert len(most) == len(sizes)
    assert all(sum(together) <= 100 or len(together) == 1 for together in most)


def test_what_was_taken_comes_back_after_an_error():
    budget = MemoryBudget(total=100, patience=60)
    for _ in range(3):
        with pytest.raises(RuntimeError), budget.taking(100):
            raise RuntimeError


def test_one_that_never_gives_back_holds_up_nobody_for_ever():
    budget = MemoryBudget(total=1, patience=0.05)
    data = files.encoded(files.four_colours(), "GIF")
    with budget.taking(1):
        files.assert_four_colours(decode(data, budget=budget).pixels)


def test_those_who_wait_are_patient_as_long_as_others_get_on():
    """However many threads there are, and however long the last of them waits."""
    budget, busy, most = MemoryBudget(total=1, patience=1), [], []

    def hold(number: int) -> None:
        with budget.taking(1):
            busy.append(number)
            most.append(len(busy))
            time.sleep(0.1)
            busy.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hold, range(16)))
    assert max(most) == 1


def test_the_one_that_needs_much_has_its_turn():
    budget, order = MemoryBudget(total=10, patience=60), []

    def hold(size: int) -> None:
        with budget.taking(size):
            order.append(size)

    with ThreadPoolExecutor(8) as pool, budget.taking(5):
        for number, size in enumerate((10, 5, 5, 5, 5), 1):
            pool.submit(hold, size)
            while len(budget._waiting) < number:
                time.sleep(0.001)
    assert order == [10, 5, 5, 5, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_needs_too_much_is_refused_before_it_is_decoded(kind):
    data = files.encoded(files.four_colours(), kind)
    with pytest.raises(UnreadableImage, match="memory") as refused:
        decode(data, budget=MemoryBudget(largest=1000))
    assert refused.value.code.temporary, "a larger machine may have the memory"


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_with_a_small_budget_decode_all_the_same(kind):
    data = files.encoded(files.four_colours(), kind)
    with ThreadPoolExecutor(4) as pool:
        pixels = list(pool.map(lambda _: decode(data, budget=MemoryBudget(total=1)).pixels, range(8)))
    assert all(np.array_equal(pixels[0], other) for other in pixels)


def test_a_thin_picture_is_reckoned_with_what_each_row_costs_its_decoder():
    data = files.saved(Image.new("1", (1, 60_000)), "BMP")
    with pytest.raises(UnreadableImage, match="memory"):
        decode(data, budget=MemoryBudget(largest=16 * 60_000))


@pytest.mark.parametrize(
    ("quarter", "total", "largest"),
    [(100, 100, 300), (1 << 11, 256, 4096), (6 << 10, 768, 4096), (1 << 20, 2048, 4096)],
)
def test_the_budget_goes_by_the_memory_and_not_by_the_cores(monkeypatch, quarter, total, largest):
    monkeypatch.setattr("imgcluster.images.memory.default_memory", lambda: quarter << 20)
    budget = MemoryBudget()
    assert (budget.total >> 20, budget.largest >> 20) == (total, largest)
