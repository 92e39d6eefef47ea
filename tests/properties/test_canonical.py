"""The way from a reviewed file to a profile: what is written in another order means, and prints, the same."""

import json
import random
from ipaddress import ip_address, ip_network

from hypothesis import assume, given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.model import PROTOCOL_NAMES
from calico_rkt.compiler.pipeline import compile_for_host, write_proven
from calico_rkt.compiler.targets import TARGETS

CONF = NetConf("web", "calico", "1.0.0", Ipam("host-local"))
NUMBERS = {name: number for number, name in PROTOCOL_NAMES.items()}

# Few, nested and adjacent: random addresses would never meet.
V4 = ["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/24", "10.1.1.0/24", "10.1.0.7/32", "192.0.2.0/24"]
V6 = ["fd00::/8", "fd00::/9", "fd80::/9", "fd00:1::/64", "2001:db8::7/128"]
ADDRESSES = ["10.1.0.7", "10.1.1.1", "10.200.0.1", "192.0.2.9", "203.0.113.1", "fd00:1::1", "fd90::1", "2001:db8::7"]
PORTS = ["22", "80", "81", "82", "80:90", "85:100", "443"]
NETWORKS = ["web", "db", "Web_1"]

nets = st.lists(st.sampled_from(V4 + V6), min_size=1, max_size=5)
ports = st.lists(st.sampled_from(PORTS), min_size=1, max_size=5)


@st.composite
def sides(draw, *, with_ports):
    keys = ["nets", "notNets", "network", "notSelector", *(["ports", "notPorts"] if with_ports else [])]
    values = {
        "nets": nets,
        "notNets": nets,
        "network": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3),
        "notSelector": st.sampled_from(["all()", "has(db)"]),
        "ports": ports,
        "notPorts": ports,
    }
    return {k: draw(values[k]) for k in draw(st.lists(st.sampled_from(keys), max_size=2, unique=True))}


@st.composite
def rules(draw):
    rule = {"action": draw(st.sampled_from(["Allow", "Deny", "Log"]))}
    protocol = draw(st.sampled_from([None, "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "47"]))
    if protocol:
        rule["protocol"] = protocol
    else:
        if draw(st.booleans()):
            rule["notProtocol"] = draw(st.sampled_from(["TCP", "47"]))
        if draw(st.booleans()):
            rule["ipVersion"] = draw(st.sampled_from(["4", "6"]))
    for side in ("source", "destination"):
        if draw(st.booleans()):
            rule[side] = draw(sides(with_ports=protocol in ("TCP", "UDP", "SCTP")))
    return rule


@st.composite
def packets(draw):
    source = ip_address(draw(st.sampled_from(ADDRESSES)))
    same = [a for a in ADDRESSES if ip_address(a).version == source.version]
    destination = ip_address(draw(st.sampled_from(same)))
    protocol = draw(st.sampled_from([6, 17, 132, 1 if source.version == 4 else 58, 47]))
    labels = st.sampled_from([None, {"web": ""}, {"db": ""}, {"web-1-93f4c8d0": ""}])
    number = st.sampled_from([22, 79, 80, 85, 100, 101, 443]) if protocol in (6, 17, 132) else st.just(0)
    return Packet(
        End(source, draw(labels), draw(number)),
        End(destination, draw(labels), draw(number)),
        protocol,
    )


def compiled(ingress):
    text = json.dumps({"network": "web", "ingress": ingress, "egress": []})
    try:
        return compile_for_host(CONF, {"web.yaml": text.encode()})
    except CompileError as e:
        if not {d.code for d in e.diagnostics if d.is_error} <= {"CR403", "CR405", "CR406"}:
            raise
        assume(condition=False)  # a rule that contradicts itself


def shuffled(value, chance):
    if isinstance(value, dict):
        return dict(chance.sample([(k, shuffled(v, chance)) for k, v in value.items()], len(value)))
    return chance.sample(value, len(value)) if isinstance(value, list) else value


def says(rule, packet):
    """Whether a rule as it is written is about a packet, by the words of the user's guide."""
    version = packet.source.address.version
    protocol = rule.get("protocol")
    if rule.get("ipVersion") not in (None, str(version)) or {"ICMP": 6, "ICMPv6": 4}.get(protocol) == version:
        return False
    if protocol and NUMBERS.get(protocol, 47) != packet.protocol:
        return False
    if rule.get("notProtocol") and NUMBERS.get(rule["notProtocol"], 47) == packet.protocol:
        return False
    return side_says(rule.get("source", {}), packet.source) and side_says(
        rule.get("destination", {}), packet.destination
    )


def side_says(side, end):
    def inside(key):
        return any(end.address in ip_network(n) for n in side[key])

    def hits(key):
        bounds = [(int(p.split(":")[0]), int(p.split(":")[-1])) for p in side[key]]
        return any(lo <= end.port <= hi for lo, hi in bounds)

    if "nets" in side and not inside("nets"):
        return False
    if "notNets" in side:
        same_family = [n for n in side["notNets"] if ip_network(n).version == end.address.version]
        if not same_family or inside("notNets"):
            return False
    if ("ports" in side and not hits("ports")) or ("notPorts" in side and hits("notPorts")):
        return False
    ids = {"web": "web", "db": "db", "Web_1": "web-1-93f4c8d0"}
    if "network" in side and not any(ids[n] in (end.labels or {}) for n in side["network"]):
        return False
    selected = end.labels is not None and (side.get("notSelector") == "all()" or "db" in end.labels)
    return not ("notSelector" in side and selected)


@given(st.lists(rules(), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_nets_ports_and_keys_does_not_change_a_byte(ingress, chance: random.Random):
    mixed = [shuffled(rule, chance) for rule in ingress]
    assert compiled(mixed).text == compiled(ingress).text


@given(st.lists(rules(), min_size=1, max_size=4), st.lists(packets(), min_size=1, max_size=8))
def test_a_compiled_network_allows_what_its_file_says(ingress, some):
    network = compiled(ingress).network
    for packet in some:
        decides = next((r for r in ingress if r["action"] != "Log" and says(r, packet)), None)
        wanted = decides is not None and decides["action"] == "Allow"
        assert evaluate(network.ingress, packet).allowed == wanted


@given(st.lists(rules(), max_size=4))
def test_a_profile_we_print_compiles_to_itself_as_an_override(ingress):
    first = compiled(ingress)
    again = compile_for_host(CONF, {"web.yaml": first.text.encode()})
    assert (again.text, again.digest) == (first.text, first.digest)


@given(st.lists(rules(), max_size=4))
def test_every_target_reads_back_what_it_wrote_or_refuses_to_write(ingress):
    network = compiled(ingress).network
    for target in TARGETS:
        try:
            write_proven(network, target)
        except CompileError as e:
            if not all(d.code.startswith("CR5") for d in e.diagnostics):
                raise
