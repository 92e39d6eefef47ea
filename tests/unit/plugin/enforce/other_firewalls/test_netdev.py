"""Chains below our table, as nft lists them: which of them may drop at host ends of ours."""

import pytest

from calico_rkt.plugin.enforce.other_firewalls.netdev import DeviceChain, device_chains

TABLE = """table netdev low {
\tset bad {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.1 }
\t}

\tchain below {
\t\ttype filter hook %s priority filter; policy %s;
\t\t%s
\t}

\tchain other {
\t\tdrop
\t}
}
"""


@pytest.mark.parametrize(
    ("on", "policy", "rule", "devices"),
    [
        ('ingress device "crkx"', "accept", "udp dport 7 drop", ("crkx",)),
        ('egress devices = { "eth0", "crkx", "crka" }', "accept", "ip saddr @bad jump other", ("crka", "crkx")),
        ("ingress devices = { eth0, crkx }", "drop", "accept", ("crkx",)),
        ('ingress device "crkx"', "accept", "tcp dport vmap { 80 : accept, 81 : drop }", ("crkx",)),
        ('ingress device "crkx"', "accept", 'counter packets 0 bytes 0 comment "no drop"', ()),
        ('ingress device "eth0"', "drop", "udp dport 7 drop", ()),
    ],
)
def test_a_chain_that_may_drop_on_a_device_of_ours_is_found(on, policy, rule, devices):
    found = list(device_chains(TABLE % (on, policy, rule), "crk"))
    assert found == ([DeviceChain("below", devices, on.split()[0])] if devices else [])
