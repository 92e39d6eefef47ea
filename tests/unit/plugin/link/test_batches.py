"""Claims about what many threads want at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from calico_rkt.plugin.link.batches import Turns


def test_one_turn_takes_all_that_is_wanted_while_the_turn_before_runs():
    taken = []
    begun, go_on = threading.Event(), threading.Event()

    def take(wishes):
        taken.append(sorted(w.what for w in wishes))
        begun.set()
        assert go_on.wait(20)
        for wish in wishes:
            wish.done()

    turns = Turns(take)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(turns.ask, 0)
        assert begun.wait(20)
        others = [pool.submit(turns.ask, n) for n in range(1, 8)]
        while sum(map(len, turns._waiting.values())) < 7:
            assert not first.done()
        go_on.set()
        for done in (first, *others):
            assert done.result(20) is None
    assert taken == [[0], [1, 2, 3, 4, 5, 6, 7]]
    assert turns._waiting == {}


def test_each_caller_gets_its_own_outcome():
    def take(wishes):
        for wish in wishes:
            wish.done(OSError(wish.what, "odd") if wish.what % 2 else None)

    turns = Turns(take)

    def asked(number):
        try:
            turns.ask(number)
        except OSError as e:
            return e.errno
        return 0

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(asked, range(200))) == [n if n % 2 else 0 for n in range(200)]


def test_a_turn_that_breaks_off_fails_for_all_and_the_next_one_does_not():
    broken = [True]

    def take(wishes):
        if broken.pop() if broken else False:
            raise RuntimeError("no")
        for wish in wishes:
            wish.done()

    turns = Turns(take)
    with pytest.raises(RuntimeError, match="no"):
        turns.ask(1)
    turns.ask(2)
    assert turns._waiting == {}
