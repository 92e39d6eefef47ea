"""Other firewalls on the host are recognised, and the command that a finding names mends it, in real packets."""

from __future__ import annotations

import shutil

import pytest

from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.other_firewalls import blocked
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel

DOCKER = """
iptables -P FORWARD DROP
iptables -N DOCKER-USER
iptables -A DOCKER-USER -j RETURN
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
"""
PLAIN = "ip6tables -P FORWARD DROP"
LEGACY = "iptables-legacy -P FORWARD DROP"
NATIVE = """
nft add table inet filter
nft add chain inet filter forward '{ type filter hook forward priority 0; policy drop; }'
nft add rule inet filter forward ct state vmap '{ established : accept, related : accept, invalid : drop }'
nft add rule inet filter forward iifname eth7 accept
"""
REJECTING = """
nft add table inet own
nft add chain inet own sub
nft add rule inet own sub counter reject with icmpx admin-prohibited
nft add chain inet own forward '{ type filter hook forward priority 5; policy accept; }'
nft add rule inet own forward jump sub
"""


@pytest.fixture
def pair(lab):
    world = w.World(lab)
    a, b = world.end("a"), world.end("a")
    with w.inside(world.host):
        held.ensure_base(())
        held.load_network(w.network("a"))
        table.add_endpoint(a.elements("a"))
        table.add_endpoint(b.elements("a"))
    return world, a, b


def findings(world):
    with w.inside(world.host):
        return blocked.findings()


@pytest.mark.parametrize(
    ("firewall", "family"),
    [(DOCKER, 4), (PLAIN, 6), (LEGACY, 4), (NATIVE, 4), (NATIVE, 6), (REJECTING, 4), (REJECTING, 6)],
    ids=["docker", "ip6tables", "legacy", "native4", "native6", "reject4", "reject6"],
)
def test_a_firewall_that_drops_forwarded_packets_is_found_and_its_mend_mends_it(pair, firewall, family):
    world, a, b = pair
    if firewall is LEGACY and not shutil.which("iptables-legacy"):
        pytest.skip("no iptables-legacy on this machine")
    assert findings(world) == ()
    assert w.connects(a.ns, family, b.address[family], b.ns)
    world.sh(world.host, firewall)
    assert not w.connects(a.ns, family, b.address[family], b.ns)
    found = findings(world)
    assert len(found) == 2, "one for each direction"
    for finding in found:
        world.sh(world.host, finding.mend)
    assert findings(world) == ()
    assert w.connects(a.ns, family, b.address[family], b.ns)


def test_asking_creates_no_legacy_table(pair):
    world, _, _ = pair
    findings(world)
    names = world.lab.run(world.host, ["cat", "/proc/net/ip_tables_names"], check=False).stdout
    assert "filter" not in names.split()
