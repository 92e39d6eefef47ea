"""The nftables text goes through the real nft and kernel, and what the kernel lists means what was written."""

import subprocess
from dataclasses import replace
from ipaddress import ip_network

import pytest

from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.targets import TARGETS

pytestmark = pytest.mark.kernel
NFT = TARGETS["nftables"]


def listed(*texts):
    """What the kernel holds after the texts, one transaction each, in a network namespace of its own."""
    script = " && ".join(f'printf %s "${i}" | nft -f -' for i in range(1, len(texts) + 1))
    program = f"{script} && nft -nn list table inet calico_rkt"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", program, "sh", *texts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # nft -nn prints the family as its number (AF_INET, AF_INET6).
    out = done.stdout.replace("nfproto 10", "nfproto ipv6").replace("nfproto 2", "nfproto ipv4")
    chains = [line.split()[1] for line in out.splitlines() if line.startswith("\tchain ")]
    return "".join(f"flush chain inet calico_rkt {chain}\n" for chain in chains) + out


def side(selector=None, not_selector=None, **fields):
    texts = (selector, not_selector)
    chosen, left_out = (None if s is None else parse_selector(s) for s in texts)
    nets = {key: tuple(ip_network(n) for n in fields.pop(key, ())) for key in ("nets", "not_nets")}
    ports = {key: tuple(PortRange(*p) for p in fields.pop(key, ())) for key in ("ports", "not_ports")}
    assert not fields
    return Side(**nets, **ports, selector=chosen, not_selector=left_out)


MATCHES = (
    Match(),
    Match(ip_version=4),
    Match(ip_version=6),
    *(Match(ip_version=v, protocol=p) for v in (None, 4, 6) for p in (1, 6, 17, 58, 99, 132, 136, 255)),
    *(Match(ip_version=v, not_protocol=p) for v in (None, 4, 6) for p in (1, 6, 255)),
    *(Match(ip_version=v, protocol=p, icmp=Icmp(*i)) for v, p in ((4, 1), (6, 58)) for i in ((0,), (8, 0), (254, 255))),
    *(
        Match(ip_version=v, protocol=p, not_icmp=Icmp(*i))
        for v, p in ((4, 1), (6, 58))
        for i in ((0,), (8, 0), (254, 255))
    ),
    *(
        Match(ip_version=v, protocol=p, source=s, destination=d)
        for v in (None, 6)
        for p in (6, 17, 132)
        for s, d in (
            (side(ports=[(80, 80)]), side(not_ports=[(1, 65535)])),
            (side(not_ports=[(80, 80)]), side(ports=[(80, 80), (443, 443), (8000, 8100)])),
            (side(), side(ports=[(1, 65535)], not_ports=[(22, 22), (25, 30)])),
        )
    ),
    Match(ip_version=4, source=side(nets=["0.0.0.0/0"]), destination=side(not_nets=["10.0.0.0/8"])),
    Match(ip_version=4, source=side(nets=["10.0.0.0/8", "192.0.2.1/32", "255.255.255.255/32", "0.0.0.0/32"])),
    Match(
        ip_version=4, destination=side(nets=["10.0.0.0/8", "172.16.0.0/12"], not_nets=["10.1.0.0/16", "10.9.0.0/30"])
    ),
    Match(ip_version=6, source=side(nets=["::/0"]), destination=side(not_nets=["::/1"])),
    Match(ip_version=6, source=side(nets=["fd00::/8", "2001:db8::1/128", "::/128"], not_nets=["fd00::/64"])),
    Match(ip_version=6, not_protocol=58, source=side(not_nets=["fd00::/8", "2001:db8::/33"])),
    *(
        Match(ip_version=v, source=side(s), destination=side(not_selector=d))
        for v in (None, 4, 6)
        for s in (None, "has(web)", "has(a) || has(b.c)", "!has(a) && !has(b.c)", "all()")
        for d in (None, "has(web)", "has(a) || has(b.c)", "!has(a)", "all()")
    ),
    Match(ip_version=4, protocol=6, source=side("has(a)", nets=["10.0.0.0/8"]), destination=side(ports=[(80, 80)])),
)


@pytest.mark.parametrize("action", Action)
def test_what_the_kernel_lists_means_what_was_written(action):
    rules = tuple(Rule(action, match) for match in MATCHES)
    network = Network("web", "web", ingress=rules, egress=rules[::-1], endpoint_to_host=ToHost.RETURN)
    assert NFT.differs(network, listed(NFT.write(network))) is None


def test_applying_another_text_replaces_the_rules_and_the_digest():
    old = Network("web", "web", ingress=(Rule(Action.ALLOW),), egress=(Rule(Action.ALLOW),))
    new = replace(old, ingress=(Rule(Action.DENY, Match(protocol=6)),))
    text = listed(NFT.write(old), NFT.write(old), NFT.write(new))
    assert NFT.differs(new, text) is None
    assert NFT.read(text).digest == digest(new) != digest(old)


@pytest.mark.parametrize("name", ["yes", "1e3", "0", "in", "a.b-c.d", "x" * 63, "drop", "{{7*7}}", "$(x)", 'a"\n}\nb'])
def test_nft_takes_any_networks_name_and_id(name):
    from calico_rkt.compiler.ir.ids import object_id
    from calico_rkt.compiler.ir.selector import has

    network_id = object_id(name)
    own = Rule(Action.ALLOW, Match(source=Side(selector=has(network_id))))
    network = Network(name, network_id, ingress=(own, Rule(Action.LOG)), egress=(Rule(Action.ALLOW),))
    assert NFT.differs(network, listed(NFT.write(network))) is None
