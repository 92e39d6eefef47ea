"""Felix is found where it has hooked itself into forwarding, whichever way it enforces, and nowhere else."""

from __future__ import annotations

import shutil

import pytest

from calico_rkt.plugin.enforce import felix_chains
from tests.kernel.support import enforce_world as w

pytestmark = pytest.mark.kernel

NFTABLES = """
nft add table {family} calico
nft add chain {family} calico filter-cali-from-wl-dispatch
nft add chain {family} calico filter-cali-FORWARD
nft add rule {family} calico filter-cali-FORWARD iifname "cali*" counter jump filter-cali-from-wl-dispatch
nft add chain {family} calico filter-FORWARD '{{ type filter hook forward priority 0; policy accept; }}'
nft add chain {family} calico mangle-FORWARD '{{ type filter hook forward priority -150; policy accept; }}'
nft add rule {family} calico filter-FORWARD counter jump filter-cali-FORWARD comment '"cali:aaaaaaaaaaaaaaaa;"'
"""
IPTABLES = """
{tool} -N cali-FORWARD
{tool} -A cali-FORWARD -i cali+ -j RETURN
{tool} -I FORWARD -m comment --comment cali:wUHhoiAYhphO9Mso -j cali-FORWARD
"""
BPF = """
{tool} -N cali-to-wl-dispatch
{tool} -A FORWARD -i cali+ -m mark ! --mark 0x1000000/0x1000000 -j DROP
{tool} -A FORWARD -o cali+ -j cali-to-wl-dispatch
"""
OF_2015 = """
{tool} -N felix-FORWARD
{tool} -I FORWARD -j felix-FORWARD
"""
UNHOOKED = """
nft add table ip calico
nft add chain ip calico filter-cali-FORWARD
nft add chain ip calico filter-FORWARD '{{ type filter hook forward priority 0; policy accept; }}'
"""
NOT_FORWARDING = """
{tool} -N cali-INPUT
{tool} -A INPUT -j cali-INPUT
"""
ANOTHER_S = """
{tool} -N my-cali-FORWARD
{tool} -A FORWARD -j my-cali-FORWARD
"""


@pytest.mark.parametrize(
    ("script", "words", "without"),
    [
        ("", {}, (4, 6)),
        (NFTABLES, {"family": "ip"}, (6,)),
        (NFTABLES, {"family": "ip6"}, (4,)),
        (IPTABLES, {"tool": "iptables-nft"}, (6,)),
        (IPTABLES, {"tool": "ip6tables-nft"}, (4,)),
        (IPTABLES, {"tool": "iptables-legacy"}, (6,)),
        (IPTABLES, {"tool": "ip6tables-legacy"}, (4,)),
        (BPF, {"tool": "iptables-nft"}, (6,)),
        (BPF, {"tool": "iptables-legacy"}, (6,)),
        (OF_2015, {"tool": "iptables-legacy"}, (6,)),
        (UNHOOKED, {}, (4, 6)),
        (NOT_FORWARDING, {"tool": "iptables-nft"}, (4, 6)),
        (NOT_FORWARDING, {"tool": "iptables-legacy"}, (4, 6)),
        (ANOTHER_S, {"tool": "iptables-nft"}, (4, 6)),
    ],
)
def test_felix_is_found_where_forwarded_packets_reach_it(lab, script, words, without):
    if "tool" in words and not shutil.which(words["tool"]):
        pytest.skip(f"no {words['tool']} on this machine")
    lab.run(lab.host, ["sh", "-ec", script.format(**words)], check=True)
    with w.inside(lab.host):
        assert felix_chains.missing((4, 6)) == without
        assert felix_chains.missing(()) == ()
