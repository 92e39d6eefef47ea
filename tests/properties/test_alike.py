"""Worlds of networks that are much alike: what is carried from one pair to another, beside each pair asked alone."""

from dataclasses import replace
from ipaddress import ip_network
from itertools import product

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.model import Action, Match, NameRef, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.review.change import Rows
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.diff_text import text_of_diff, values_of_diff
from calico_rkt.compiler.review.expect import asked, outcome
from calico_rkt.compiler.review.matrix import Cell, matrix_of
from calico_rkt.compiler.review.pair import Scene
from calico_rkt.compiler.review.pair_diff import Ends, PairDiff
from calico_rkt.compiler.review.parties import Kind
from tests.worlds import conf, world

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without that which explains a failure: it takes minutes here."""
NAMES = ("n1", "n2", "n3", "n4", "n5")
NETS = tuple(map(ip_network, ("10.0.0.0/8", "10.2.0.0/16", "10.3.0.5/32", "10.4.0.0/25", "192.0.2.0/24", "fd00::/8")))
SELECTORS = ("has(SELF)", "has(n1)", "has(n2) || has(SELF)", "!has(SELF)", 'role == "x"', 'has(SELF) && role == "x"')
RANGES = (("10.{}.0.0/24",), ("10.{}.0.0/24",), ("10.{}.0.0/24", "fd00:{}::/64"), ("10.{}.0.0/30",), ())


def pick(*choices):
    return st.sampled_from(choices)


_SIDE = st.builds(
    lambda nets, no, selector, none: (nets, no, selector, none),
    pick((), (), (), *((n,) for n in NETS)),
    pick((), (), (), *((n,) for n in NETS)),
    pick(None, None, *SELECTORS),
    pick(None, None, None, "all()", "has(SELF)"),
)
_RULE = st.tuples(pick(*Action, Action.ALLOW), pick(None, 6, 17), pick((), (80,)), _SIDE, _SIDE)
_LIST = st.lists(_RULE, max_size=3).map(tuple)
_POLICY = st.tuples(_LIST, _LIST, pick(*ToHost))
_STORES = st.just(("local",) * 5) | st.lists(pick("local", "etcdv3"), min_size=5, max_size=5)
_CHOSEN = st.lists(st.integers(0, 1), min_size=5, max_size=5)
_ANYONE = ((), (), None, None)
_SOMEONE = pick(
    *(((), (), s, None) for s in ("has(SELF)", "has(n1)", "has(n2)", "!has(n1)")),
    *((nets, (), None, None) for nets in ((NETS[1],), (NETS[2],), (NETS[1], NETS[3]))),
)
_ALL = (Action.ALLOW, None, (), _ANYONE, _ANYONE)
_PLAIN = st.builds(
    lambda action, ends: (action, None, (), *ends),
    pick(Action.ALLOW, Action.DENY),
    st.tuples(_SOMEONE, st.just(_ANYONE)) | st.tuples(st.just(_ANYONE), _SOMEONE),
)
_OPEN = st.just((_ALL,)) | st.builds(
    lambda rules, end: (*rules, *end), st.lists(_PLAIN, min_size=1, max_size=2), pick((_ALL,), ())
)
_PLAIN_POLICY = st.tuples(_OPEN, _OPEN, pick(*ToHost))
_WORLD = st.tuples(
    st.lists(_PLAIN_POLICY, min_size=1, max_size=2) | st.lists(_POLICY, min_size=1, max_size=2), _CHOSEN, _STORES
)
"""Half of them have few rules, each about one end: where another rule, or the other end, denies all, none matters."""
_SHAPES = st.just(RANGES[:1] * 5) | st.lists(pick(*RANGES), min_size=5, max_size=5)


_ENDS = [ExpectedEnd(word=w) for w in ("any", "outside", "host", "endpoints")]
_ENDS += [ExpectedEnd(networks=tuple(map(NameRef, NAMES[:4]))), ExpectedEnd(net=ip_network("10.0.0.0/13"))]


def side(drawn, name, ports=()):
    nets, no, selector, none = drawn
    called = [None if s is None else parse_selector(s.replace("SELF", name)) for s in (selector, none)]
    return Side(nets=nets, not_nets=no, ports=ports, selector=called[0], not_selector=called[1])


def listed(rules, name, where):
    """The rules of a network; each has a line of its own."""
    out = []
    for n, (action, protocol, ports, source, destination) in enumerate(rules):
        held = tuple(PortRange(p, p) for p in ports) if protocol else ()
        match = Match(protocol=protocol, source=side(source, name), destination=side(destination, name, held))
        out.append(Rule(action, match, Span(f"{where}/{name}", n, 1, 2)))
    return tuple(out)


def made(drawn, shapes, where):
    policies, chosen, stores = drawn
    confs, lists = [], {}
    for n, name in enumerate(NAMES, 1):
        nets = (ip_network(r.format(n)) for r in shapes[n - 1])
        confs.append(conf(name, *nets, datastore=stores[n - 1]))
        ingress, egress, to_host = policies[min(chosen[n - 1], len(policies) - 1)]
        lists[name] = listed(ingress, name, f"{where}/in"), listed(egress, name, f"{where}/out"), to_host
    return world(confs, lists, where)


def alone(w, view):
    """The cell of a pair, where it is the only one that is asked for."""
    one = type("Alone", (), {"views": lambda _: iter([view]), "__getattr__": lambda _, name: getattr(w, name)})()
    return matrix_of(one).cells[view.source.name, view.destination.name]


@given(_WORLD, _SHAPES)
@settings(max_examples=200, phases=PHASES)
def test_a_cell_that_was_carried_from_another_pair_is_that_of_its_own(drawn, shapes):
    w = made(drawn, shapes, "here")
    cells = matrix_of(w).cells
    for view in w.views():
        cell = cells[view.source.name, view.destination.name]
        assert isinstance(cell, Cell)
        assert cell == alone(w, view), (view.source.name, view.destination.name)


def one_by_one(old, new):
    """The changes of all pairs, each of which is looked at."""
    ends = [{(p.name, p.nets, p.not_nets) for p in w.parties if p.kind is Kind.NETWORK} for w in (old, new)]
    moved = {name for name, _, _ in ends[0] ^ ends[1]}
    rows = Rows()
    everyone = {p.key: p for w in (old, new) for p in w.parties}
    for source, destination in product(everyone.values(), repeat=2):
        views = []
        for w in (old, new):
            # Other endpoints are in both, though one may have no rules that tell them apart.
            ends = [w.party(p.kind, p.name) or (p if p.kind is Kind.OTHERS else None) for p in (source, destination)]
            views.append(w.view(*ends) if all(ends) else None)
        if any(v is not None and v.stages for v in views):
            pairs = PairDiff(old, new, (), moved)  # one that has seen no other pair
            for found in pairs.found(Ends(*views)):
                rows.add(pairs.change(found))
    return rows.merged()


_BESIDE = st.just({}) | st.dictionaries(pick(*NAMES), st.booleans(), max_size=4)


@given(_WORLD, _WORLD, _SHAPES, st.none() | _SHAPES, _BESIDE)
@settings(max_examples=60, phases=PHASES)
def test_a_diff_is_the_same_as_where_each_pair_is_looked_at(old, new, shapes, others, beside):
    both = made(old, shapes, "old"), made(new, others or shapes, "new")
    both = replace(both[0], beside=beside), replace(both[1], beside=beside)
    found = diff_worlds(*both)
    assert not found.undecided
    alone = replace(found, changes=one_by_one(*both))
    assert values_of_diff(found) == values_of_diff(alone)
    assert text_of_diff(found) == text_of_diff(alone)


@given(_WORLD, _SHAPES, pick(Action.ALLOW, Action.DENY), pick(None, 6), pick(*_ENDS), pick(*_ENDS))
@settings(max_examples=60, phases=PHASES)
def test_a_promise_about_many_pairs_is_that_about_each(drawn, shapes, verdict, protocol, source, destination):
    w = made(drawn, shapes, "here")
    question = Expectation("q", source, destination, verdict, (Match(protocol=protocol),))
    failing, deciders, some = [], {}, False
    for view, matches, less in asked(w, question):
        scene = Scene([view], w.own, w.known, (*matches, *less))
        for box in scene.within(0, matches, less, Budget()):
            for _, fate in scene.fates(0, box, Budget()):
                some = True
                deciders.update({(s.words, r.span): r for s, r in fate.rules if r is not None})
                if fate.allowed is not (verdict is Action.ALLOW):
                    failing.append((view.source.name, view.destination.name))
    for whole in (False, True):
        found = outcome(w, question, all_deciders=whole)
        assert found.in_part is some
        first = found.failure and (found.failure.source, found.failure.destination)
        assert first == next(iter(failing), None)
    assert {r.span for r in found.deciders} == {r.span for r in deciders.values()}
