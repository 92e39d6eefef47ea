"""5,000 inputs at the doors where bytes come in from outside; `make prove` tries 100,000 (tests/prove/bad_input.py)."""

from __future__ import annotations

import pytest

from tests.properties.inputs.doors import DOORS

NUMBER = 5000


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_whatever_comes_in_is_answered_in_words_and_at_once(door):
    door.tried(NUMBER * door.share // 1000)


def test_no_door_is_left_out():
    assert sum(door.share for door in DOORS) == 1000
