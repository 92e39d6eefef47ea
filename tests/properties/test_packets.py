"""Boxes and what is found with them, beside the plain evaluator over every packet of a small world."""

from ipaddress import ip_address, ip_network
from itertools import product
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate, matches
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.packets import first_match
from calico_rkt.compiler.packets.budget import Budget, UndecidedError
from calico_rkt.compiler.packets.index import Index
from calico_rkt.compiler.packets.labels import label_classes
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.space import Space, meet
from calico_rkt.compiler.packets.subtract import pieces_left
from calico_rkt.compiler.review.lint import everything
from tests.findings import lint

NETS = [ip_network(n) for n in ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/17", "10.1.128.0/17", "fd00::/8", "::/0")]
ADDRESSES = [ip_address(a) for a in ("9.9.9.9", "10.9.0.1", "10.1.0.1", "10.1.128.1", "2001:db8::1", "fd00::1")]
PORTS = [PortRange(80, 80), PortRange(1, 1023), PortRange(1024, 65535)]
IDS = frozenset({"web", "db"})
SELECTORS = [
    parse_selector(s) for s in ("has(web)", "has(web) || has(db)", 'role == "x"', 'role != "x"', "!has(db)", "all()")
]
LABELS = [None, *({**n, **r} for n, r in product(({}, {"web": ""}, {"db": ""}), ({}, {"role": "x"}, {"role": "y"})))]


def _packets():
    for source, target, labels in product(ADDRESSES, ADDRESSES[3:5], LABELS):
        if source.version != target.version:
            continue
        for protocol, port in (*product((6, 17), (0, 1, 80, 1024)), (99, 0)):
            yield Packet(End(source, labels), End(target, None, port), protocol)
        for protocol, kind in product((1, 58), (Icmp(0, 0), Icmp(8, 0), Icmp(8, 1), Icmp(9, 0))):
            yield Packet(End(source, labels), End(target), protocol, kind)


WORLD = list(_packets())


@st.composite
def rules(draw):
    protocol = draw(st.sampled_from([None, 6, 17, 1, 58]))
    ports = draw(st.lists(st.sampled_from(PORTS), max_size=2).map(tuple)) if protocol in (6, 17) else ()
    negated = draw(st.booleans())
    kind = st.none() | st.builds(Icmp, st.sampled_from([0, 8]), st.sampled_from([None, 0]))
    icmp = draw(kind) if protocol in (1, 58) else None
    match = Match(
        ip_version=draw(st.sampled_from([None, None, 4, 6])),
        protocol=protocol,
        not_protocol=draw(st.sampled_from([None, 6])) if protocol is None else None,
        icmp=None if negated else icmp,
        not_icmp=icmp if negated else None,
        source=Side(
            nets=draw(st.lists(st.sampled_from(NETS), max_size=2).map(tuple)),
            not_nets=draw(st.lists(st.sampled_from(NETS[:5]), max_size=1).map(tuple)),
            selector=draw(st.none() | st.sampled_from(SELECTORS)),
            not_selector=draw(st.none() | st.sampled_from(SELECTORS)),
        ),
        destination=Side(ports=() if negated else ports, not_ports=ports if negated else ()),
    )
    return Rule(draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.DENY, Action.LOG])), match)


@given(st.lists(rules(), min_size=1, max_size=4))
@settings(max_examples=150)
def test_a_witness_of_each_box_is_matched_and_disjoint_from_the_others(given_rules):
    space = Space(given_rules, IDS)
    for rule in given_rules:
        boxes = space.boxes(rule)
        assert all(matches(rule, example(space, b)) for b in boxes)
        assert all(meet(a, b) is None for i, a in enumerate(boxes) for b in boxes[:i])
        left = [p for u in space.universe for p in pieces_left(u, range(len(boxes)), boxes, Budget(), set())]
        assert not any(matches(rule, example(space, p)) for p in left)
        assert bool(boxes) >= any(matches(rule, p) for p in WORLD)


@given(st.lists(rules(), min_size=2, max_size=10), st.sampled_from([1, 2, 3]))
@settings(max_examples=100)
def test_each_piece_of_a_box_has_the_first_box_that_holds_it_however_often_the_index_is_asked(given_rules, looks):
    """It is asked again behind many boxes in vain, as there are in long lists alone."""
    space = Space(given_rules, IDS)
    boxes = [box for rule in given_rules for box in space.boxes(rule)]
    for whole in space.universe:
        with patch.object(first_match, "_LOOKS", looks):
            found = list(first_match.first_of(whole, Index(boxes), Budget()))
        for piece, first in found:
            assert first is None or meet(piece, boxes[first]) == piece
            assert all(meet(piece, box) is None for box in boxes[:first])
        pieces = [piece for piece, _ in found]
        assert all(meet(a, b) is None for i, a in enumerate(pieces) for b in pieces[:i])
        assert not list(pieces_left(whole, range(len(pieces)), pieces, Budget(), set()))


def logs(ordered, packet):
    """The lines of the Logs that a packet comes by."""
    found = []
    for rule in ordered:
        if matches(rule, packet):
            if rule.action is not Action.LOG:
                break
            found.append(rule.span.line)
    return found


@given(st.lists(rules(), min_size=1, max_size=6))
@settings(max_examples=150)
def test_what_lint_says_is_what_every_packet_of_a_small_world_says(given_rules):
    ordered = tuple(Rule(r.action, r.match, Span("w.yaml", n, 1, 2)) for n, r in enumerate(given_rules, 1))
    found = {d.span.line: d.code for d in lint(Network("n", "n", ingress=ordered), IDS, frozenset({"w.yaml"}))}
    live = [r for r in ordered if r.action is not Action.LOG]
    expected = {}
    for rule in ordered:
        mine = [p for p in WORLD if matches(rule, p)]
        earlier = tuple(r for r in live if r.span.line < rule.span.line)
        if not mine:
            expected[rule.span.line] = "CR803"
        elif (m := rule.match).icmp is not None and (m.protocol, m.icmp.type) != (1, 8):
            expected[rule.span.line] = "CR807"
        elif all(evaluate(earlier, p).rule for p in mine):
            expected[rule.span.line] = "CR801"
            live = [r for r in live if r is not rule]
    for rule in list(live):
        if rule.span.line in expected:
            continue
        without = tuple(r for r in live if r is not rule)
        gone = {line for line, code in expected.items() if code in ("CR801", "CR802")}
        kept = [r for r in ordered if r.span.line not in gone]
        if all(
            evaluate(without, p).allowed is evaluate(tuple(live), p).allowed
            and logs([r for r in kept if r is not rule], p) == logs(kept, p)
            for p in WORLD
        ):
            expected[rule.span.line] = "CR802"
            live = list(without)
        elif rule.action is Action.ALLOW and everything((rule,)):
            expected[rule.span.line] = "CR804"
    assert found == expected
    assert all(evaluate(tuple(live), p).allowed is evaluate(ordered, p).allowed for p in WORLD)


def test_two_halves_hide_their_whole_and_both_are_named():
    def rule(net, line):
        return Rule(Action.ALLOW, Match(source=Side(nets=(ip_network(net),))), Span("w.yaml", line, 1, 2))

    ordered = (rule("10.0.0.0/25", 3), rule("192.0.2.0/24", 4), rule("10.0.0.128/25", 5), rule("10.0.0.0/24", 6))
    (found,) = lint(Network("n", "n", ingress=ordered), frozenset(), frozenset({"w.yaml"}))
    assert found.code == "CR801"
    assert "together by w.yaml:3, w.yaml:5" in found.message


def test_patterns_on_a_label_are_told_apart():
    atoms = [parse_selector(s) for s in ('a starts with "ab"', 'a ends with "b"', 'a contains "c"', 'a == "ab"')]
    answers = {tuple(s.matches(c) for s in atoms) for c in label_classes(atoms, frozenset()) if c is not None}
    values = ["", "x", "ab", "abx", "abxb", "xb", "c", "abc", "abcb", "cb"]
    assert answers == {tuple(s.matches(c) for s in atoms) for c in ({}, *({"a": v} for v in values))}


def test_too_many_labels_and_too_much_work_are_said():
    with pytest.raises(UndecidedError, match="independent labels"):
        label_classes([parse_selector(f"has(k{n})") for n in range(13)], frozenset())
    with pytest.raises(UndecidedError, match="more than 0 pairs"):
        list(pieces_left((1,), [], [], Budget(0), set()))
