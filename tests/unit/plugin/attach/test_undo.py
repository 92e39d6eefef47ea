"""Claims about what takes steps back: the last one first, all of them, and nothing where all went well."""

from __future__ import annotations

import pytest

from calico_rkt.plugin.attach.undo import Undo
from calico_rkt.plugin.errors import CniError, Code


def failing(error):
    def act():
        raise error

    return act


def steps(done, *acts):
    with Undo() as undo:
        for n, act in enumerate(acts):
            undo.note(f"step {n}", lambda n=n, act=act: (done.append(n), act()))
        raise KeyError("the one to report")


def test_steps_are_taken_back_from_the_last_one_on():
    done = []
    with pytest.raises(KeyError, match="the one to report"):
        steps(done, int, failing(CniError(Code.IO, "no disk")), int)
    assert done == [2, 1, 0]


def test_who_is_told_to_end_meanwhile_takes_back_the_rest_first():
    done = []
    with pytest.raises(SystemExit):
        steps(done, int, failing(SystemExit(1)), failing(SystemExit(2)), int)
    assert done == [3, 2, 1, 0]


def test_what_went_well_stands():
    done = []
    with Undo() as undo:
        undo.note("a step", lambda: done.append(1))
    assert done == []


def test_what_was_forgotten_stands_whatever_comes_then():
    done = []
    undo = Undo()
    undo.note("a step", lambda: done.append(1))
    undo.forget()
    with pytest.raises(KeyError), undo:
        raise KeyError
    assert done == []
