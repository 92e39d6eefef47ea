"""Claims about work that is done once for a value."""

from __future__ import annotations

from calico_rkt.plugin.process.kept import kept


def test_work_is_done_once_for_a_value_and_again_for_one_that_only_equals_it():
    asked = []

    @kept
    def length(value):
        asked.append(value)
        return len(value)

    one, equal = [1, 2], [1, 2]
    assert [length(one), length(one), length(equal), length(one)] == [2, 2, 2, 2]
    assert len(asked) == 2


def test_a_value_that_was_changed_for_another_at_its_place_is_not_taken_for_it():
    @kept
    def text(value):
        return str(value)

    assert [text([n]) for n in range(500)] == [f"[{n}]" for n in range(500)]
