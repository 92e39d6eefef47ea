"""What is said to match nothing, beside the plain evaluator over every packet of a small world."""

from dataclasses import replace
from ipaddress import ip_network
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import matches
from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.review.unmatched import unmatched
from tests.properties.smallworld import ADDRESSES, NAMES, RANGES, RULES, TODAY, Drawn, SmallWorld, packets
from tests.worlds import unlabelled

FEW = st.builds(
    lambda rule, one: replace(rule, match=replace(rule.match, **one)),
    RULES,
    st.sampled_from([{}, {"ip_version": 6}, {"ip_version": 4}]),
)


def placed(rules, name, side):
    return tuple(replace(r, span=Span(f"{name}-{side}.yaml", n, 1, 2)) for n, r in enumerate(rules, 1))


@given(TODAY, st.lists(FEW, max_size=3))
@settings(max_examples=80, deadline=None)
def test_no_packet_that_there_can_be_matches_a_rule_that_matches_nothing(drawn, more):
    drawn = {
        name: replace(
            d, ingress=placed((*d.ingress, *more), name, "in"), egress=placed((*d.egress, *more), name, "out")
        )
        for name, d in drawn.items()
    }
    w = SmallWorld(drawn)
    files = frozenset(r.span.path for d in drawn.values() for r in (*d.ingress, *d.egress))
    said = {d.span for d in unmatched(w.world, files, frozenset())}
    parties = [p.name for p in w.world.parties]
    for a, b in product(parties, parties):
        if a not in NAMES and b not in NAMES:
            continue
        lists = [(drawn[a].egress, "destination")] if a in NAMES else []
        lists += [(drawn[b].ingress, "source")] if b in NAMES and a != "host" else []
        idle = [(r, far) for rules, far in lists for r in rules if r.span in said]
        for p in packets(a, b) if idle else ():
            if p.source.address != p.destination.address and w.exists(a, b, p):
                met = {far: unlabelled(p, far) if w.apart(a, b) else p for far in ("source", "destination")}
                assert not any(matches(r, met[far]) for r, far in idle), (a, b, p)


def test_a_rule_for_each_address_of_the_small_world_is_told_exactly_where_nobody_has_it():
    """Nothing is overlooked either, where all that a rule says is one address."""
    plain = {name: Drawn(RANGES[name]) for name in ("web", "db")}
    for name, party in product(("web", "db"), ("web", "db", "outside")):
        for address in ADDRESSES[party]:
            net = ip_network(address)
            rule = Rule(Action.ALLOW, Match(ip_version=net.version, destination=Side(nets=(net,))))
            drawn = {**plain, name: replace(plain[name], ingress=placed((rule,), name, "in"))}
            here = SmallWorld(drawn)
            said = list(unmatched(here.world, frozenset({f"{name}-in.yaml"}), frozenset()))
            assert bool(said) is not here.has(name, net[0]), (name, address)
