"""Exact packet sets beside an SMT solver, which gets the rules' meaning from docs/semantics.md and none of our code."""

from functools import reduce
from ipaddress import ip_network

import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import Op
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.packets.compare import told_apart
from tests.findings import lint

NETS = [
    ip_network(n) for n in ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/17", "10.1.128.0/17", "fd00::/8", "2001:db8::/32")
]
PORTS = [PortRange(80, 80), PortRange(1, 1023), PortRange(1024, 65535), PortRange(79, 81)]
IDS = frozenset({"web", "db"})
SELECTORS = [
    parse_selector(s)
    for s in (
        "has(web)",
        "has(web) || has(db)",
        '!(role == "x")',
        'role in {"x", "y"}',
        'has(db) && role != "x"',
        "all()",
    )
]
NETWORKS = {"web": 1, "db": 2}
ROLES = {"x": 1, "y": 2}


class End:
    """One end: an address of 128 bits, a port, whether it is an endpoint, its network (0 none), its role (0 none)."""

    def __init__(self, name):
        self.address = z3.BitVec(f"{name}-address", 128)
        self.port = z3.BitVec(f"{name}-port", 16)
        self.endpoint = z3.Bool(f"{name}-endpoint")
        self.network = z3.BitVec(f"{name}-network", 2)
        self.role = z3.BitVec(f"{name}-role", 2)


SOURCE, DESTINATION = End("source"), End("destination")
V6 = z3.Bool("v6")
PROTOCOL, TYPE, CODE = (z3.BitVec(n, 8) for n in ("protocol", "type", "code"))
PORTED = z3.Or([p == PROTOCOL for p in (6, 17, 132)])
ICMP = z3.Or(PROTOCOL == 1, PROTOCOL == 58)
REAL = z3.And(
    [
        z3.And(
            z3.Implies(z3.Not(V6), z3.ULT(e.address, 1 << 32)),
            z3.Implies(z3.Not(PORTED), e.port == 0),
            z3.ULE(e.network, 2),
        )
        for e in (SOURCE, DESTINATION)
    ]
    + [z3.Implies(z3.Not(ICMP), z3.And(TYPE == 0, CODE == 0))]
)


def in_net(end, net):
    first, last = int(net.network_address), int(net.broadcast_address)
    return z3.And((net.version == 6) == V6, z3.UGE(end.address, first), z3.ULE(end.address, last))


def selected(end, s):
    if s.op is Op.ALL:
        return z3.BoolVal(True)
    if s.op is Op.NOT:
        return z3.Not(selected(end, s.operands[0]))
    if s.op in (Op.AND, Op.OR):
        join = z3.And if s.op is Op.AND else z3.Or
        return join([selected(end, o) for o in s.operands])
    if s.op is Op.HAS:
        return end.network == NETWORKS[s.key]
    assert s.key == "role"
    said = z3.Or([end.role == ROLES[v] for v in s.values])
    return z3.Not(said) if s.op in (Op.NOT_EQUAL, Op.NOT_IN) else said


def icmp(i):
    return z3.And(ICMP, i.type == TYPE, *([i.code == CODE] if i.code is not None else []))


def in_ports(end, ranges):
    return z3.Or([z3.And(z3.UGE(end.port, p.lo), z3.ULE(end.port, p.hi)) for p in ranges])


def formula(rule):
    m = rule.match
    parts = []
    parts += [(m.ip_version == 6) == V6] if m.ip_version else []
    parts += [m.protocol == PROTOCOL] if m.protocol is not None else []
    parts += [m.not_protocol != PROTOCOL] if m.not_protocol is not None else []
    parts += [icmp(m.icmp)] if m.icmp else []
    parts += [z3.Not(icmp(m.not_icmp))] if m.not_icmp else []
    for end, side in ((SOURCE, m.source), (DESTINATION, m.destination)):
        parts += [z3.Or([in_net(end, n) for n in side.nets])] if side.nets else []
        parts += [z3.Not(in_net(end, n)) for n in side.not_nets]
        parts += [in_ports(end, side.ports)] if side.ports else []
        parts += [z3.Not(in_ports(end, side.not_ports))] if side.not_ports else []
        parts += [z3.And(end.endpoint, selected(end, side.selector))] if side.selector else []
        parts += [z3.Not(z3.And(end.endpoint, selected(end, side.not_selector)))] if side.not_selector else []
    return z3.And([REAL, *parts])


def possible(*formulas):
    solver = z3.Solver()
    solver.add(*formulas)
    answer = solver.check()
    assert answer != z3.unknown
    return answer == z3.sat


def allowed(rules):
    """The formula of a first-match list."""
    deciding = [r for r in rules if r.action is not Action.LOG]
    return reduce(
        lambda rest, r: z3.If(formula(r), z3.BoolVal(r.action is Action.ALLOW), rest),
        reversed(deciding),
        z3.BoolVal(False),
    )


@st.composite
def rules(draw):
    protocol = draw(st.sampled_from([None, 6, 17, 1, 58, 132, 47]))
    negated = draw(st.booleans())
    kind = draw(st.builds(Icmp, st.sampled_from([8, 9]), st.sampled_from([None, 0]))) if protocol in (1, 58) else None

    def side():
        ports = draw(st.lists(st.sampled_from(PORTS), max_size=2).map(tuple)) if protocol in (6, 17, 132) else ()
        return Side(
            nets=draw(st.lists(st.sampled_from(NETS), max_size=2).map(tuple)),
            not_nets=draw(st.lists(st.sampled_from(NETS), max_size=1).map(tuple)),
            ports=() if negated else ports,
            not_ports=ports if negated else (),
            selector=draw(st.none() | st.sampled_from(SELECTORS)),
            not_selector=draw(st.none() | st.none() | st.sampled_from(SELECTORS)),
        )

    return Rule(
        draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.DENY, Action.LOG])),
        Match(
            ip_version=draw(st.sampled_from([None, None, 4, 6])),
            protocol=protocol,
            not_protocol=draw(st.sampled_from([None, 6, 1])) if protocol is None else None,
            icmp=None if negated else kind,
            not_icmp=kind if negated else None,
            source=side(),
            destination=draw(st.just(Side())) if draw(st.booleans()) else side(),
        ),
    )


@given(st.lists(rules(), min_size=1, max_size=5))
@settings(max_examples=60)
def test_the_solver_finds_the_same_rules_dead(given_rules):
    ordered = tuple(Rule(r.action, r.match, Span("w.yaml", n, 1, 2)) for n, r in enumerate(given_rules, 1))
    said = {d.span.line: d.code for d in lint(Network("n", "n", egress=ordered), IDS, frozenset({"w.yaml"}))}
    live = [r for r in ordered if r.action is not Action.LOG]
    for rule in ordered:
        earlier = [formula(r) for r in live if r.span.line < rule.span.line]
        code = said.get(rule.span.line)
        if not possible(formula(rule)):
            assert code == "CR803"
        elif code == "CR807":
            continue
        elif not possible(formula(rule), *map(z3.Not, earlier)):
            assert code == "CR801"
            live = [r for r in live if r is not rule]
        else:
            assert code in (None, "CR802", "CR804")
    kept = [r for r in ordered if said.get(r.span.line) not in ("CR801", "CR802")]
    assert not possible(REAL, allowed(kept) != allowed(ordered))


@given(st.lists(rules(), max_size=4), st.lists(rules(), max_size=4), st.booleans())
@settings(max_examples=60)
def test_the_solver_tells_the_same_lists_apart(first, second, related):
    if related:
        second = [*first[1:], *second[:1], *first[:1]]
    witness = told_apart(first, second, IDS)
    assert (witness is not None) is possible(REAL, allowed(first) != allowed(second))
    if witness is not None:
        assert evaluate(tuple(first), witness).allowed is not evaluate(tuple(second), witness).allowed
