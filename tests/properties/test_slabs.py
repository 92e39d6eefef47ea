"""Two lists compared slab by slab: the same answer as box by box, and a packet that shows it."""

from collections import Counter
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Side
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets import slabs
from calico_rkt.compiler.packets.compare import allowed_apart, decided_apart, told_apart
from tests.properties.test_targets import rules

lists = st.lists(rules(), max_size=8).map(tuple)


@st.composite
def pairs(draw):
    """Two lists that are alike, but for their order or for one rule, or have nothing to do with each other."""
    one = draw(lists)
    other = draw(st.one_of(st.permutations(one).map(tuple), lists, st.just(one[:-1])))
    return one, other


@given(pair=pairs())
@settings(max_examples=200)
def test_slabs_and_boxes_agree_and_the_packet_is_decided_apart(pair):
    ids = labels_of(selectors_of((*pair[0], *pair[1])))
    by_slabs = decided_apart(*pair, ids)
    with patch.multiple(slabs, _AT_LEAST=0, _A_BOX=0):
        by_boxes = decided_apart(*pair, ids)
    assert (by_slabs is None) is (by_boxes is None)
    for packet in (by_slabs, by_boxes):
        if packet is not None:
            assert _fate(pair[0], packet) is not _fate(pair[1], packet)


@given(pair=pairs(), blocks=st.sampled_from([0, 1, 2]), few=st.sampled_from([0, 24]))
@settings(max_examples=200)
def test_slabs_that_boxes_go_through_in_part_are_looked_at_one_by_one(pair, blocks, few):
    """As in long lists, of which not every mask is a block of its own."""
    ids = labels_of(selectors_of((*pair[0], *pair[1])))
    with patch.multiple(slabs, _MOST_BLOCKS=blocks, _FEW=few):
        packet = decided_apart(*pair, ids)
    with patch.multiple(slabs, _AT_LEAST=0, _A_BOX=0):
        assert (packet is None) is (decided_apart(*pair, ids) is None)
    if packet is not None:
        assert _fate(pair[0], packet) is not _fate(pair[1], packet)


@given(pair=pairs())
@settings(max_examples=200)
def test_what_is_allowed_apart_is_told_apart_and_the_packet_is_allowed_by_one(pair):
    ids = labels_of(selectors_of((*pair[0], *pair[1])))
    packet = allowed_apart(*pair, ids)
    assert (packet is None) is (told_apart(*pair, ids) is None)
    if packet is not None:
        assert evaluate(pair[0], packet).allowed is not evaluate(pair[1], packet).allowed


def _parts(rule):
    """The rule as two of a family each, or of a protocol and of all others; alone where it has both already."""
    m = rule.match
    if m.ip_version is None:
        return [replace(rule, match=replace(m, ip_version=version)) for version in (4, 6)]
    if m.protocol is None and m.not_protocol is None:
        return [replace(rule, match=replace(m, **{key: 99})) for key in ("protocol", "not_protocol")]
    return [rule]


@st.composite
def written_in_parts(draw):
    """Two lists, one of which has some rules of the other in parts; of these one may be gone, or say more."""
    one = draw(lists.filter(bool))
    found = [part for rule in one for part in (_parts(rule) if draw(st.booleans()) else [rule])]
    at = draw(st.integers(0, len(found) - 1))
    what = draw(st.sampled_from(["as it is", "gone", "of any source", "to any destination"]))
    if what == "gone":
        del found[at]
    elif what != "as it is":
        field = "source" if what == "of any source" else "destination"
        found[at] = replace(found[at], match=replace(found[at].match, **{field: Side()}))
    return draw(st.permutations([one, tuple(found)]))


@given(pair=written_in_parts())
@settings(max_examples=100)
def test_a_rule_in_parts_is_that_rule_unless_a_part_is_gone_or_says_more(pair):
    ids = labels_of(selectors_of((*pair[0], *pair[1])))
    packet = told_apart(*pair, ids)
    assert (packet is None) is (allowed_apart(*pair, ids) is None)
    if packet is not None:
        assert evaluate(pair[0], packet).allowed is not evaluate(pair[1], packet).allowed


@given(counts=st.dictionaries(st.integers(1, 255), st.integers(1, 9), min_size=1, max_size=9))
def test_blocks_are_disjoint_and_hold_every_slab(counts):
    blocks = slabs._blocks(Counter(counts))
    assert sum(blocks) == _joined(blocks) == _joined(counts)


def _fate(found, packet):
    rule = evaluate(found, packet).rule
    return None if rule is None else rule.action


@given(masks=st.sets(st.integers(1, 255), min_size=1, max_size=12))
def test_parts_of_masks_are_disjoint_and_make_them_up(masks):
    for few in (0, 100):
        with patch.object(slabs, "_FEW", few):
            parts = slabs._parts(masks)
        every = {part for found in parts.values() for part in found}
        assert sum(every) == _joined(every)
        for mask in masks:
            assert _joined(parts[mask]) == mask


def _joined(masks):
    return sum(1 << n for n in range(8) if any(mask >> n & 1 for mask in masks))
