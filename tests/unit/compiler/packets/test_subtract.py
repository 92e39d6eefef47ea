"""What is left of a box is exactly what no blocker has, each packet once; what took some of it is named."""

from __future__ import annotations

import random
from itertools import product

import pytest

from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.subtract import pieces_left

POINTS = [tuple(1 << bit for bit in point) for point in product(range(2), repeat=9)]


def held(box, point):
    return all(mask & bit for mask, bit in zip(box, point, strict=True))


def drawn(r):
    return tuple(r.choice((1, 2, 3, 3, 3)) for _ in range(9))


@pytest.mark.parametrize("seed", range(20))
def test_pieces_are_what_no_blocker_has(seed):
    r = random.Random(seed)
    boxes = [drawn(r) for _ in range(r.randint(0, 8))]
    blockers = [n for n in range(len(boxes)) if r.random() < 0.8]
    asked, used = list(blockers), set()
    box = drawn(r)
    found = list(pieces_left(box, asked, boxes, Budget(10_000), used))
    assert asked == blockers
    for point in POINTS:
        free = held(box, point) and not any(held(boxes[n], point) for n in blockers)
        assert sum(held(piece, point) for piece in found) == free
    assert used <= {n for n in blockers if any(held(boxes[n], p) and held(box, p) for p in POINTS)}
    lacking = [n for n in blockers if n not in used]
    for piece in found:
        assert not any(all(a & b for a, b in zip(piece, boxes[n], strict=True)) for n in lacking)


def test_a_box_that_one_blocker_has_whole_is_that_one_s():
    boxes = [(1,) * 9, (3,) * 9, (3,) * 9]
    used = set()
    assert list(pieces_left((1,) * 8 + (3,), range(3), boxes, Budget(100), used)) == []
    assert used == {1}
