"""Scenes, diffs and tests beside the plain evaluator over every packet of a small world."""

from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.evaluate import End, Packet, evaluate, matches
from calico_rkt.compiler.expectations import End as End_
from calico_rkt.compiler.expectations import Expectation
from calico_rkt.compiler.ir import Action, Icmp, Match, NameRef, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.readable import readable
from calico_rkt.compiler.review.diff import diff
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.flows import flow
from calico_rkt.compiler.review.parties import Kind
from calico_rkt.compiler.review.scene import Scene
from calico_rkt.compiler.selector import parse_selector
from tests.worlds import conf, world

RANGES = {"web": ("10.1.0.0/24", "fd00:1::/64"), "db": ("10.2.0.0/24",), "ext": ()}
CONFS = [conf(name, *map(ip_network, nets)) for name, nets in RANGES.items()]
NETS = [
    ip_network(n) for n in ("10.0.0.0/8", "10.1.0.0/25", "10.2.0.0/24", "192.0.2.0/24", "fd00::/8", "2001:db8::/32")
]
PORTS = [PortRange(80, 80), PortRange(1, 1023), PortRange(1024, 65535)]
SELECTORS = [parse_selector(s) for s in ("has(web)", "has(web) || has(db)", 'role == "x"', "!has(db)", "all()")]
ADDRESSES = {
    "web": ("10.1.0.5", "10.1.0.200", "fd00:1::5"),
    "db": ("10.2.0.5",),
    "ext": ("10.7.0.1", "192.0.2.7", "2001:db8::7"),
    "other endpoints": ("10.1.0.5", "192.0.2.7", "fd00:1::5"),
    "outside": ("9.9.9.9", "10.9.0.9", "192.0.2.7", "2001:db8::7"),
    "host": ("9.9.9.9", "192.0.2.7", "2001:db8::7"),
}
KINDS = [(6, 80, None), (6, 2000, None), (17, 80, None), (99, 0, None)]
KINDS += [(1, 0, Icmp(8, 0)), (1, 0, Icmp(9, 1)), (58, 0, Icmp(135, 0)), (58, 0, Icmp(128, 0))]


def labels(name):
    if name in ("outside", "host"):
        return [None]
    own = {name: ""} if name in RANGES else {}
    return [own, {**own, "role": "x"}]


def packets(source, destination):
    pairs = product(ADDRESSES[source], ADDRESSES[destination], labels(source), labels(destination), KINDS)
    for sender, receiver, from_, to, (protocol, port, icmp) in pairs:
        a, b = ip_address(sender), ip_address(receiver)
        if a.version == b.version and (protocol, a.version) not in ((1, 6), (58, 4)):
            yield Packet(End(a, from_, 5000 if port else 0), End(b, to, port), protocol, icmp)


@st.composite
def rules(draw):
    protocol = draw(st.sampled_from([None, None, 6, 17, 1, 58]))
    side = st.builds(
        Side,
        nets=st.lists(st.sampled_from(NETS), max_size=2).map(tuple),
        not_nets=st.lists(st.sampled_from(NETS), max_size=1).map(tuple),
        selector=st.none() | st.sampled_from(SELECTORS),
        not_selector=st.none() | st.sampled_from(SELECTORS),
    )
    any_or_side = st.just(Side()) | side
    destination = draw(any_or_side)
    if protocol in (6, 17):
        ports = draw(st.lists(st.sampled_from(PORTS), max_size=2).map(tuple))
        destination = Side(destination.nets, destination.not_nets, ports, (), destination.selector)
    icmp = draw(st.none() | st.builds(Icmp, st.sampled_from([8, 128, 135]), st.none())) if protocol in (1, 58) else None
    match = Match(protocol=protocol, icmp=icmp, source=draw(any_or_side), destination=destination)
    return Rule(draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.DENY, Action.LOG])), match)


LISTS = st.lists(rules(), max_size=3)
POLICY = st.tuples(LISTS, LISTS, st.sampled_from(list(ToHost)))
POLICIES = st.fixed_dictionaries({"web": POLICY, "db": POLICY, "ext": POLICY})


def essential(packet):
    return packet.protocol == 58 and packet.icmp.type in (130, 131, 132, 133, 135, 136)


def verdict(w, source, destination, packet):
    """The plain meaning of docs/semantics.md, over whole lists; None: left to the host."""
    if source in RANGES:
        own = w.networks[source]
        if destination == "host" and packet.source.address.version == 6 and essential(packet):
            return True
        if not evaluate(own.egress, packet).allowed:
            return False
        if destination == "host":
            return {ToHost.DROP: False, ToHost.RETURN: None, ToHost.ACCEPT: True}[own.endpoint_to_host]
    if destination in RANGES and source != "host":
        return evaluate(w.networks[destination].ingress, packet).allowed
    return True


@given(POLICIES)
@settings(max_examples=60, deadline=None)
def test_the_fate_of_every_packet_is_what_both_lists_say(policies):
    w = world(CONFS, policies)
    for view in w.views():
        source, destination = view.source.name, view.destination.name
        scene = Scene([view], w.own, w.known)
        budget = Budget()
        parts = [p for u in scene.universes[0] for p in scene.fates(0, u, budget)]
        for piece, fate in parts:
            one = example(scene.space, piece)
            assert verdict(w, source, destination, one) is fate.allowed
        allowed = [p for p, fate in parts if fate.allowed is not False]
        flows = [
            flow(scene.space, b, scene.universes[0], w.own)
            for b in readable(scene.space, allowed, scene.universes[0], budget)
        ]
        for packet in packets(source, destination):
            assert any(within(f, packet, w.own) for f in flows) is (
                verdict(w, source, destination, packet) is not False
            )


@given(POLICIES, POLICIES, st.sampled_from(["web", "db", "ext", None]))
@settings(max_examples=60, deadline=None)
def test_a_diff_holds_exactly_the_packets_whose_fate_changed(before, after, only):
    if only:
        after = {**before, only: after[only]}
    old, new = world(CONFS, before), world(CONFS, after)
    found = diff(old, new)
    assert not found.undecided
    names = [p.name for p in (*old.parties, *new.parties)]
    rank = {False: 0, None: 1, True: 2}
    for source, destination in product(dict.fromkeys(names), repeat=2):
        if source not in RANGES and destination not in RANGES:
            continue
        for packet in packets(source, destination):
            a, b = (rank[verdict(w, source, destination, packet)] for w in (old, new))
            mine = [
                c.widened
                for c in found.changes
                if source in c.sources and destination in c.destinations and within(c.flow, packet, new.own)
            ]
            assert set(mine) == ({b > a} if a != b else set()), (source, destination, packet)
    for c in found.changes:
        ends = c.sources[0], c.destinations[0]
        assert verdict(old, *ends, c.example) is c.before.allowed
        assert verdict(new, *ends, c.example) is c.after.allowed
    assert diff(old, old).changes == diff(new, new).changes == ()


def within(f, packet, own):
    """Whether a flow's plain values hold the packet."""

    def holds(ranges, value):
        return ranges is None or any(lo <= value <= hi for lo, hi in ranges)

    def inside(nets, address):
        return any(address.version == n.version and address in n for n in nets)

    def net(said, address):
        return said is None or ((not said.nets or inside(said.nets, address)) and not inside(said.not_nets, address))

    def label(sets, found):
        return sets is None or any(
            dict(s).items() <= {**(found or {})}.items() and len(s) == len(rest(found)) for s in sets
        )

    def rest(found):
        return {k: v for k, v in (found or {}).items() if k not in own}

    icmp = packet.icmp or Icmp(0, 0)
    return (
        holds(f.protocols, packet.protocol)
        and (f.ports is None or (packet.protocol in (6, 17, 132) and holds(f.ports, packet.destination.port)))
        and (f.source_ports is None or (packet.protocol in (6, 17, 132) and holds(f.source_ports, packet.source.port)))
        and (f.icmp_types is None or (packet.protocol in (1, 58) and holds(f.icmp_types, icmp.type)))
        and (f.icmp_codes is None or (packet.protocol in (1, 58) and holds(f.icmp_codes, icmp.code or 0)))
        and net(f.source, packet.source.address)
        and net(f.destination, packet.destination.address)
        and label(f.source_labels, packet.source.labels)
        and label(f.destination_labels, packet.destination.labels)
    )


def test_parties_of_the_small_world():
    plain = ((), (), ToHost.DROP)
    w = world(CONFS, dict.fromkeys(RANGES, plain))
    assert [p.kind for p in w.parties] == [Kind.NETWORK] * 3 + [Kind.OUTSIDE, Kind.HOST]
    assert matches(Rule(Action.ALLOW), next(packets("web", "db")))


ENDS = st.sampled_from(
    [
        End_(networks=(NameRef("web"),)),
        End_(networks=(NameRef("web"), NameRef("db"))),
        End_(net=ip_network("192.0.2.0/24")),
        End_(net=ip_network("10.1.0.0/25")),
        *(End_(word=w) for w in ("outside", "host", "endpoints", "any")),
    ]
)
WHAT = st.sampled_from(
    [Match(), Match(protocol=6), Match(protocol=6, destination=Side(ports=(PORTS[0],))), Match(protocol=1)]
)


def meant(end, party, address):
    """The ends' meaning in docs/overrides.md."""
    if end.networks:
        return party in {n.name for n in end.networks}
    if end.net:
        return party not in ("other endpoints", "host") and address.version == end.net.version and address in end.net
    everybody = {"outside": ["outside"], "host": ["host"], "endpoints": [*RANGES, "other endpoints"]}
    return end.word == "any" or party in everybody[end.word]


@given(POLICIES, ENDS, ENDS, WHAT, st.lists(WHAT, max_size=1), st.sampled_from([Action.ALLOW, Action.DENY]))
@settings(max_examples=120, deadline=None)
def test_an_expectation_fails_exactly_where_a_packet_of_its_set_does(policies, source, destination, what, less, wanted):
    w = world(CONFS, policies)
    found = outcome(w, Expectation("e", source, destination, wanted, (what,), tuple(less)))
    names = [p.name for p in w.parties]
    violated = False
    for a, b in product(names, names):
        if (a not in RANGES and b not in RANGES) or (a == "host" and source.word != "host"):
            continue
        for p in packets(a, b):
            inside = matches(Rule(wanted, what), p) and not any(matches(Rule(wanted, m), p) for m in less)
            if inside and meant(source, a, p.source.address) and meant(destination, b, p.destination.address):
                violated = violated or verdict(w, a, b, p) is not (wanted is Action.ALLOW)
    if violated:
        assert found.failure is not None
    if found.failure is not None:
        f = found.failure
        assert verdict(w, f.source, f.destination, f.packet) is f.fate.allowed is not (wanted is Action.ALLOW)
        assert meant(source, f.source, f.packet.source.address)
        assert meant(destination, f.destination, f.packet.destination.address)
        assert matches(Rule(wanted, what), f.packet)
        assert not any(matches(Rule(wanted, m), f.packet) for m in less)
