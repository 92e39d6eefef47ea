from __future__ import annotations

import pytest

from calico_rkt.plugin.enforce.nft import layout
from calico_rkt.plugin.enforce.nft.base import BASE_RULES, base_script, measure
from calico_rkt.plugin.enforce.nft.layout import FIRST, SHUT, Hook


def test_a_table_says_the_measure_that_it_is_made_by():
    assert layout.read_measure(layout.lines(measure())) == measure()


def test_every_base_chain_of_the_script_is_measured_by_its_hook():
    hooked = {line.split()[4] for line in base_script().splitlines() if " hook " in line}
    assert hooked == set(measure().hooks)
    assert measure().hooks["forward"] == Hook("filter", 2, 0)
    assert measure().rules == BASE_RULES


def test_every_line_fits_into_a_comment_of_nft():
    assert max(map(len, layout.lines(measure()))) < 128


def test_a_table_of_the_builds_that_said_nothing_is_the_first_layout():
    assert layout.read_measure(()) == FIRST


def test_the_mark_of_a_closed_host_is_told():
    assert layout.read_measure((layout.CLOSED,)) == SHUT


@pytest.mark.parametrize(
    "said",
    [
        ("",),
        ("layout 2",),
        ("layout 2 0123456789ab",),
        ("layout 2 0123456789ab", "forward"),
        (layout.CLOSED, "forward 5"),
    ],
)
def test_words_that_make_no_sense_are_no_measure(said):
    assert layout.read_measure(said) is None


def test_a_newer_layouts_words_can_be_read():
    newer = layout.read_measure(("layout 3 0123456789ab", "forward 9 filter 2 -10", "more 1"))
    assert newer is not None
    assert (newer.version, newer.rules["more"], newer.hooks["forward"].priority) == (3, 1, -10)


def test_closing_takes_the_hooks_of_the_table_that_it_stands_for():
    assert all(measure().hooks[name] == hook for name, hook in SHUT.hooks.items())


@pytest.mark.parametrize("said", [FIRST, SHUT])
def test_a_table_that_does_not_say_its_hooks_may_be_of_a_build_before_or_of_this_one(said):
    assert {hooks["prerouting"].priority for hooks in layout.may_be_hooked(said)} == {-300, -410}
    assert layout.may_be_hooked(measure()) == (measure().hooks,)
