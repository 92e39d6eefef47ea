"""Work in several processes: the same values, the same objects, and nobody left behind, whatever ends one of them."""

import os
import signal

import pytest

from calico_rkt.compiler.cli.processes import shared

COUNT = 400


def nobody_is_left():
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    return True


def told(n):
    assert 0 <= n < COUNT


def complete(found, work):
    """What whoever asks makes of it: what is missing is done again."""
    return {n: found[n] if n in found else work(n) for n in range(COUNT)}


def test_all_is_done_and_known_objects_stay_the_same_objects():
    known = [object() for _ in range(7)]

    def work(n):
        return n, known[n % 7], f"{n}"

    found = shared(COUNT, work, known, told)
    assert found == {n: work(n) for n in range(COUNT)}
    assert all(one[1] is known[n % 7] for n, one in found.items())
    assert nobody_is_left()


def test_nothing_to_do_is_nothing():
    assert shared(0, str, (), told) == {}
    assert nobody_is_left()


def test_a_helper_that_is_killed_leaves_its_work_to_the_first_process():
    first = os.getpid()

    def work(n):
        if os.getpid() != first:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert complete(shared(COUNT, work, (), told), work) == {n: n for n in range(COUNT)}
    assert nobody_is_left()


def test_what_is_wrong_with_a_piece_is_raised_by_the_first_process_in_the_end():
    def work(n):
        if n == COUNT - 1:
            raise ZeroDivisionError("of the last piece")
        return n

    with pytest.raises(ZeroDivisionError, match="of the last piece"):
        complete(shared(COUNT, work, (), told), work)
    assert nobody_is_left()


def test_a_value_that_can_not_be_sent_is_made_again():
    def work(n):
        return (lambda: n) if n % 2 else n

    found = complete(shared(COUNT, work, (), told), work)
    assert [v() if callable(v) else v for v in found.values()] == list(range(COUNT))
    assert nobody_is_left()


def test_ctrl_c_ends_the_helpers():
    first = os.getpid()

    def work(n):
        if os.getpid() == first:
            raise KeyboardInterrupt
        signal.pause()
        return n

    with pytest.raises(KeyboardInterrupt):
        shared(COUNT, work, (), told)
    assert nobody_is_left()
