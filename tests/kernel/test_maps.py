"""A long list as maps: the kernel gives them back as the same policy, and real packets fare as its rules say."""

from __future__ import annotations

import random
import socket
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.compiler.targets.nftables.read_rule import read_line
from calico_rkt.compiler.targets.nftables.write import write_nftables
from calico_rkt.plugin.attest.chains import compared
from calico_rkt.plugin.attest.reading import read_kernel
from calico_rkt.plugin.enforce.nft import compare, table
from calico_rkt.plugin.enforce.nft.elements import to_host_script
from tests.bench.workloads import hierarchical, rules
from tests.kernel.support import enforce_world as w

pytestmark = pytest.mark.kernel
UDP, PORTS = 17, range(30000, 30024)
NETS = {
    4: [ip_network(n) for n in ("10.65.0.0/30", "10.65.0.0/29", "10.65.0.4/30", "192.0.2.0/24", "0.0.0.0/1")],
    6: [ip_network(n) for n in ("fd65::/126", "fd65::4/126", "2001:db8::/64", "::/1")],
}


def drawn(seed):
    """A mix: nets, ports, labels, any protocol, ICMP, negations, both families, both actions."""
    r = random.Random(seed)
    for _ in range(120):
        version = r.choice([4, 4, 6, None])
        lo = r.choice(PORTS)
        side = Side(
            nets=tuple(r.sample(NETS[version], r.randint(0, 2))) if version else (),
            not_nets=(r.choice(NETS[version]),) if version and r.random() < 0.1 else (),
            selector=has(r.choice(["web", "api"])) if r.random() < 0.2 else None,
            not_selector=has("api") if r.random() < 0.05 else None,
        )
        match = Match(version, UDP, source=side, destination=Side(ports=(PortRange(lo, lo + r.choice([0, 0, 3])),)))
        if r.random() < 0.05 and side.nets:
            match = Match(version, source=side)
        elif version and r.random() < 0.1:
            match = Match(version, {4: 1, 6: 58}[version], icmp=Icmp({4: 8, 6: 128}[version]), source=side)
        yield Rule(r.choice([Action.ALLOW, Action.DENY]), match)


def by_ports(seed):
    """Many nets of any protocol between many labels and negations about some ports: no map holds what they cut."""
    r = random.Random(seed)
    for _ in range(360):
        version = r.choice([4, 6])
        lo = r.choice(PORTS)
        port = Side(ports=(PortRange(lo, lo + r.choice([0, 0, 3])),))
        action = r.choice([Action.ALLOW, Action.DENY])
        kind = r.random()
        if kind < 0.4:
            yield Rule(action, Match(version, source=Side(nets=tuple(_hosts(r, version)))))
        elif kind < 0.8:
            yield Rule(action, Match(None, UDP, source=Side(selector=has(r.choice(["web", "api"]))), destination=port))
        else:
            yield Rule(action, Match(version, UDP, source=Side(not_nets=(r.choice(NETS[version]),)), destination=port))


def _hosts(r, version):
    """Now and then one that sends here; mostly others, each of which would cut every rule about a port."""
    if r.random() < 0.1:
        yield r.choice(NETS[version][:4])
    else:
        yield ip_network(f"10.9.{r.randint(0, 99)}.0/24" if version == 4 else f"fd09:{r.randint(0, 99)}::/32")


@pytest.mark.parametrize(("draw", "seed"), [(drawn, 1), (drawn, 2), (by_ports, 1), (by_ports, 2)])
def test_packets_fare_in_maps_as_the_rules_say(lab, draw, seed):
    world = w.World(lab)
    policy = Network("web", "web", tuple(draw(seed)), (Rule(Action.ALLOW),))
    script = write_proven(policy, "nftables") + to_host_script("web", policy.endpoint_to_host)
    assert script.count("vmap {\n") > 3
    by_chains = "goto in-web/2" in script
    assert by_chains is (draw is by_ports)
    with w.inside(world.host):
        table.build_table([], {"web": script, "api": w.network("api")}, ())
    target, peer, other = world.joined("web"), world.joined("web"), world.joined("api")
    senders = [(peer, "web"), (other, "api"), (world.outside, None)]
    with w.inside(world.host):
        kernel = read_kernel().rules.tables["inet", "calico_rkt"]
    assert compared(kernel.chains["in-web"], policy.ingress, kernel.sets, kernel.chains).equal
    wrong = [
        found
        for version in (4, 6)
        for sender, label in senders
        for found in _wrong(policy, sender, label, target, version)
    ]
    assert wrong == []
    for version, protocol, kind in ((4, 1, 8), (6, 58, 128)):
        for sender, label in senders:
            expected = _allows(policy, sender, label, target, version, protocol, 0, Icmp(kind, 0))
            assert w.pings(lab, sender.ns, version, target.address[version]) is expected, (version, label)


def _allows(policy, sender, label, target, version, protocol, port, icmp=None):
    labels = None if label is None else {label: ""}
    ends = (
        End(ip_address(sender.address[version]), labels, 9 if port else 0),
        End(ip_address(target.address[version]), {"web": ""}, port),
    )
    return evaluate(policy.ingress, Packet(*ends, protocol, icmp)).allowed


def _wrong(policy, sender, label, target, version):
    """The ports of which a datagram came and should not, or the reverse."""
    listening = {port: w.listener(target.ns, version, socket.SOCK_DGRAM, port) for port in PORTS}
    with w.inside(sender.ns):
        client = socket.socket(w.FAMILY[version], socket.SOCK_DGRAM)
    client.bind(("", 0))
    for port in PORTS:
        client.sendto(b"x", (target.address[version], port))
    for number, (port, server) in enumerate(listening.items()):
        server.settimeout(w.wait() if not number else 0.02)
        try:
            came = bool(server.recv(1))
        except TimeoutError:
            came = False
        server.close()
        expected = _allows(policy, sender, label, target, version, UDP, port)
        if came is not expected:
            yield version, label, port, expected
    client.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_of_elements_that_cross_the_first_one_decides(lab, seed):
    """The planner writes none; the kernel takes them where no corner of one lies in another before it."""
    r, world = random.Random(seed), w.World(lab)
    boxes = [(f"10.65.0.{n}", "29990-30050") for n in range(1, 9)] + [("10.65.0.0/24", str(port)) for port in PORTS]
    r.shuffle(boxes)
    elements = ", ".join(f"{source} . {port} : {r.choice(['return', 'drop'])}" for source, port in boxes)
    line = f"ip saddr . udp dport vmap {{ {elements} }}"
    with w.inside(world.host):
        table.build_table([], {"web": w.network("web", into=line), "api": w.network("api")}, ())
        kernel = read_kernel().rules.tables["inet", "calico_rkt"]
    found = read_line(line.replace(",", " ,").split(), set())
    policy = Network("web", "web", found)
    assert compared(kernel.chains["in-web"], found, kernel.sets, kernel.chains).equal
    assert not compared(kernel.chains["in-web"], found[::-1], kernel.sets, kernel.chains).equal
    target, peer, other = world.joined("web"), world.joined("web"), world.joined("api")
    assert {peer.address[4], other.address[4]} < {source for source, _ in boxes}
    senders = [(peer, "web"), (other, "api")]
    assert [one for sender, label in senders for one in _wrong(policy, sender, label, target, 4)] == []


@pytest.mark.slow
def test_ten_thousand_rules_come_back_from_the_kernel_as_the_same_policy(lab):
    policy = Network("web", "web", rules(hierarchical(10_000)))
    script = write_nftables(policy) + to_host_script("web", policy.endpoint_to_host)
    with w.inside(lab.host):
        table.build_table([], {"web": script}, ())
        assert compare.table_differences(compare.Wanted({"web": script}, (), ())) == ()
        kernel = read_kernel().rules.tables["inet", "calico_rkt"]
    assert len(kernel.chains["in-web"].rules) == 2
    assert compared(kernel.chains["in-web"], policy.ingress, kernel.sets).equal
    first = policy.ingress[0]
    turned = replace(first, action=Action.DENY if first.action is Action.ALLOW else Action.ALLOW)
    assert not compared(kernel.chains["in-web"], (turned, *policy.ingress[1:]), kernel.sets).equal
