"""Any Network in: each target says it exactly, or refuses it; nothing is dropped or widened on the way."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.by_rule import by_member, origins
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3

IDS = ("a", "b", "web")
NETS = {
    4: [ip_network(n) for n in ("10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8", "192.0.2.1/32", "128.0.0.0/1")],
    6: [ip_network(n) for n in ("fd00::/8", "fd00:1::/32", "2001:db8::1/128", "8000::/1")],
}
ADDRESSES = {
    4: [ip_address(a) for a in ("10.0.0.1", "10.1.0.1", "11.0.0.1", "192.0.2.1", "192.0.2.2", "1.1.1.1")],
    6: [ip_address(a) for a in ("fd00::1", "fd00:1::1", "2001:db8::1", "2001:db8::2", "8000::1")],
}
SELECTORS = [
    parse_selector(s)
    for s in ("has(a)", "has(web)", "has(a) || has(b)", "all()", "!has(a)", "has(a) && !has(b)", 'a == ""', 'b != "x"')
]
PORTS = [PortRange(80, 80), PortRange(1, 79), PortRange(100, 200), PortRange(443, 443)]


def some(values):
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


@st.composite
def sides(draw, version, has_ports):
    return Side(
        nets=draw(some(NETS[version])) if version else (),
        not_nets=draw(some(NETS[version])) if version else (),
        ports=draw(some(PORTS)) if has_ports else (),
        not_ports=draw(some(PORTS)) if has_ports else (),
        selector=draw(st.none() | st.sampled_from(SELECTORS)),
        not_selector=draw(st.none() | st.sampled_from(SELECTORS)),
    )


@st.composite
def rules(draw):
    version = draw(st.sampled_from([None, 4, 6]))
    protocol = draw(st.sampled_from([None, 6, 17, 132, 136, 99, {4: 1, 6: 58}.get(version)]))
    kinds = st.none() | st.builds(Icmp, st.sampled_from([0, 8, 254]), st.none() | st.sampled_from([0, 255]))
    is_icmp = protocol in (1, 58)
    plain = draw(st.booleans())  # half of them have no negation, so that v1 gets its share
    has_ports = protocol in (6, 17, 132)

    def side():
        found = draw(sides(version, has_ports))
        if plain:
            selector = found.selector if found.selector in SELECTORS[:3] else None
            return Side(nets=found.nets, ports=found.ports if protocol != 132 else (), selector=selector)
        return found

    return Rule(
        draw(st.sampled_from([Action.ALLOW, Action.DENY] if plain else list(Action))),
        Match(
            ip_version=version,
            protocol=protocol,
            not_protocol=None if plain else draw(st.none() | st.sampled_from([6, 99])),
            icmp=draw(kinds) if is_icmp else None,
            not_icmp=draw(kinds) if is_icmp and not plain else None,
            source=side(),
            destination=side(),
        ),
    )


names = st.sampled_from([*IDS, "yes", "1e3", "{{7*7}}", "a: b"]) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20
)
networks = st.builds(
    lambda name, ingress, egress, to_host: Network(name, object_id(name), tuple(ingress), tuple(egress), to_host),
    names,
    st.lists(rules(), max_size=4),
    st.lists(rules(), max_size=3),
    st.sampled_from([ToHost.DROP, ToHost.DROP, ToHost.RETURN]),
)


def a_packet(chance):
    version = chance.choice([4, 6])
    protocol = chance.choice([6, 17, 132, 136, 99, 1, 58])
    ends = []
    for _ in range(2):
        network = chance.choice([None, *IDS, "other"])
        ends.append(
            End(
                chance.choice(ADDRESSES[version]),
                None if network is None else {network: ""},
                chance.choice([1, 79, 80, 81, 150, 443, 65535]) if protocol in (6, 17, 132) else 0,
            )
        )
    icmp = Icmp(chance.choice([0, 8, 9, 254]), chance.choice([0, 1, 255]))
    return Packet(ends[0], ends[1], protocol, icmp if (protocol, version) in ((1, 4), (58, 6)) else None)


def packets(number):
    """So many by the number of a seed: each drawn by itself, they were most of the work and of the memory."""
    return st.randoms(use_true_random=True).map(lambda chance: [a_packet(chance) for _ in range(number)])


@pytest.mark.parametrize("target", TARGETS)
@given(network=networks, sent=packets(40))
@settings(max_examples=300)
def test_a_target_says_a_network_exactly_or_refuses_it(target, network, sent):
    try:
        text = TARGETS[target].write(network)
    except CompileError:
        if target != "calico-v1":
            raise
        return
    assert text == TARGETS[target].write(network)
    assert TARGETS[target].differs(network, text) is None
    back = TARGETS[target].read(text)
    for packet in sent:
        for meant, found in ((network.ingress, back.ingress), (network.egress, back.egress)):
            assert evaluate(meant, packet).allowed is evaluate(found, packet).allowed, packet


@pytest.mark.parametrize("target", TARGETS)
@given(network=networks, known=st.sampled_from([None, frozenset(), frozenset(IDS)]))
@settings(max_examples=300)
def test_a_check_refuses_what_is_not_written_in_the_same_words(target, network, known):
    def said(act):
        try:
            act(network, known_ids=known)
        except CompileError as e:
            return e.diagnostics
        return ()

    assert said(TARGETS[target].check) == said(TARGETS[target].write)


@given(network=networks)
@settings(max_examples=200)
def test_a_published_profile_gives_its_network_back(network):
    assert verify_calico_v3(TARGETS["calico-v3"].write(network)) == network


@pytest.mark.parametrize("target", TARGETS)
@given(network=networks, other=networks, sent=packets(20))
@settings(max_examples=200)
def test_a_text_that_passes_for_another_allows_the_same(target, network, other, sent):
    """The rules of one network under the name and the digest of another."""
    other = replace(other, name=network.name, id=network.id, endpoint_to_host=network.endpoint_to_host)
    try:
        text = TARGETS[target].write(other).replace(digest(other), digest(network))
    except CompileError:
        return
    if TARGETS[target].differs(network, text) is None:
        for packet in sent:
            assert evaluate(network.ingress, packet).allowed is evaluate(other.ingress, packet).allowed
            assert evaluate(network.egress, packet).allowed is evaluate(other.egress, packet).allowed


@given(network=networks, sent=packets(20))
@settings(max_examples=50)
def test_the_rule_that_decides_leads_back_to_the_one_that_it_was_written_for(network, sent):
    """Rules with more nets and ports than Calico takes are written as several."""
    many = tuple(PortRange(n, n) for n in range(2000, 2200, 2))
    wide = tuple(
        replace(
            r,
            match=replace(r.match, destination=replace(r.match.destination, ports=(*r.match.destination.ports, *many))),
        )
        if r.match.destination.ports
        else r
        for r in network.ingress
    )
    network = replace(network, ingress=wide)
    back = verify_calico_v3(TARGETS["calico-v3"].write(network))
    found = origins(network.ingress, back.ingress, by_member)
    for packet in sent:
        decided = evaluate(back.ingress, packet).rule
        at = next((n for n, rule in enumerate(back.ingress) if rule is decided), None)
        meant = evaluate(network.ingress, packet).rule
        assert (None if at is None else found[at]) is meant
