"""Every flow's words, read back by another hand, beside the exact set of packets that they are about."""

from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.model import Action, Icmp, Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.packets.budget import WORDS, Budget
from calico_rkt.compiler.packets.first_match import FirstMatch
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.packets.space import ENDS, FROM, V6, Space
from calico_rkt.compiler.review.flows import flow
from tests.flow_words import PORTED, CutError, read_flow

OCTET = st.sampled_from([0, 1, 2, 8, 9, 127, 253, 254, 255]) | st.integers(0, 255)
PORT = st.sampled_from([0, 1, 2, 79, 80, 81, 65533, 65534, 65535]) | st.integers(0, 65535)
PORTS = st.lists(st.tuples(PORT, PORT).map(lambda p: PortRange(min(p), max(p))), max_size=3).map(tuple)
NETS = st.sampled_from(
    ["0.0.0.0/32", "255.255.255.255/32", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16"]
).map(ip_network)
NETS6 = st.sampled_from(["::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "::/0", "fd00::/8", "8000::/1"]).map(
    ip_network
)
SELECTORS = st.sampled_from(
    [
        'role == "x"',
        'role in {"x", " to y"}',
        "has(role)",
        'has(web) && role != "x"',
        'role starts with "ab" && !has(env)',
        'role contains "b"',
        'env == "it\'s from 10.0.0.0/8"',
        "all()",
        "!has(web)",
    ]
).map(parse_selector)
ICMPS = st.builds(Icmp, OCTET, st.none() | OCTET)


@st.composite
def sides(draw, v6, ported):
    nets = NETS6 if v6 else NETS
    return Side(
        nets=tuple(draw(st.lists(nets, max_size=2))),
        not_nets=tuple(draw(st.lists(nets, max_size=1))),
        ports=draw(PORTS) if ported else (),
        not_ports=draw(PORTS) if ported else (),
        selector=draw(st.none() | st.none() | SELECTORS),
        not_selector=draw(st.none() | st.none() | st.none() | SELECTORS),
    )


@st.composite
def rules(draw):
    kind = draw(st.sampled_from(["any", "ported", "icmp", "number", "not"]))
    v6 = draw(st.booleans())
    match = {
        "any": Match(),
        "ported": Match(protocol=draw(st.sampled_from(PORTED))),
        "number": Match(protocol=draw(OCTET)),
        "not": Match(not_protocol=draw(OCTET)),
        "icmp": Match(protocol=58 if v6 else 1, icmp=draw(st.none() | ICMPS), not_icmp=draw(st.none() | ICMPS)),
    }[kind]
    source, destination = draw(sides(v6, kind == "ported")), draw(sides(v6, kind == "ported"))
    addressed = any(s.nets or s.not_nets for s in (source, destination))
    family = draw(st.sampled_from([None, None, 4, 6])) if not addressed else 6 if v6 else 4
    action = draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.DENY]))
    return Rule(
        action,
        Match(
            family,
            match.protocol,
            match.not_protocol,
            match.icmp,
            match.not_icmp,
            source=source,
            destination=destination,
        ),
    )


class Tight(Budget):
    """Nothing can be spent on few words, and all that is wanted on the rest."""

    def spend(self, steps=1):
        pass


def values(space, dimension):
    """The first and the last value of every cell, and the ends of each."""
    cuts = [*space.cuts[dimension], ENDS[dimension]]
    return sorted({v for lo, hi in pairwise(cuts) for v in (lo, hi - 1)})


def packets(space, random, count, ends):
    """Packets at the edges of the cells."""
    chosen = [[c for c in space.classes if (c is not None) == endpoint] for endpoint in ends]
    by = [values(space, d) for d in range(7)]
    for _ in range(count):
        protocol = random.choice([*by[2], 6, 17, 1, 58, 132])
        v6 = random.random() < 0.5
        addresses = [
            IPv6Address(v - V6) if v6 else IPv4Address(v)
            for v in (random.choice([v for v in by[d] if (v >= V6) == v6]) for d in (0, 1))
        ]
        ports = [random.choice(by[d]) if protocol in PORTED else 0 for d in (3, 4)]
        icmp = Icmp(random.choice(by[5]), random.choice(by[6])) if protocol in (1, 58) else None
        both = [End(a, random.choice(c), p) for a, c, p in zip(addresses, chosen, ports, strict=True)]
        yield Packet(*both, protocol, icmp)


@given(
    st.lists(rules(), min_size=1, max_size=5),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 1 << 30),
    st.sampled_from([None, None, 2]),
)
@settings(max_examples=200, deadline=None)
def test_the_words_of_flows_read_back_hold_each_packet_that_passes_once_and_no_other(drawn, ends, seed, few):
    space = Space(drawn, frozenset({"web"}))
    lists, budget = FirstMatch(space, drawn), Budget()
    universe = [
        (*u[:FROM], *(a & (~1 if e else 1) for a, e in zip(u[FROM:], ends, strict=True))) for u in space.universe
    ]
    passing = [
        piece
        for box in universe
        for piece, rule in lists.fates(box, budget)
        if rule is not None and rule.action is Action.ALLOW
    ]
    if not all(map(all, universe)):
        return  # no endpoint has such labels
    words = budget if few is None else Tight(WORDS * few)
    flows = [flow(space, box, universe) for box in readable(space, passing, universe, words)]
    try:
        said = [read_flow(str(f)) for f in flows]
    except CutError:
        said = None
    for packet in packets(space, Random(seed), 300, ends):
        if packet.source.address == packet.destination.address:
            continue  # nobody sends that
        passes = evaluate(tuple(drawn), packet).allowed
        if said is not None:
            holding = [str(f) for f, r in zip(flows, said, strict=True) if r.holds(packet)]
            assert len(holding) == passes, (packet, holding, [str(f) for f in flows])
