"""Nothing in; the words of nft's grammar out: what a rule may ask of a packet, and what it may do with it."""

from __future__ import annotations

KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ipv4_addr": (
        ("ip saddr", "ip daddr", "ct original ip saddr", "ct reply ip daddr", "ct original ip daddr", "rt ip nexthop"),
        ("203.0.113.9", "203.0.113.50", "192.0.2.2", "192.0.2.1", "198.51.100.7", "10.65.0.77", "10.65.1.0"),
    ),
    "ipv6_addr": (
        ("ip6 saddr", "ip6 daddr", "ct original ip6 saddr", "ct reply ip6 daddr", "rt ip6 nexthop"),
        ("2001:db8::9", "2001:db8::1", "2001:db8:5::1", "::203.0.113.50", "::ffff:203.0.113.50", "fd65::77", "fe80::1"),
    ),
    "inet_service": (
        ("tcp dport", "tcp sport", "udp dport", "udp sport", "sctp dport", "th dport", "th sport", "dccp dport"),
        ("80", "53", "22", "443", "8000", "8100", "49152", "1", "65535"),
    ),
    "inet_proto": (("meta l4proto", "ip protocol", "ip6 nexthdr"), ("6", "17", "1", "58", "47", "132", "0", "255")),
    "ifname": (("iifname", "oifname"), ('"up0"', '"lo"', '"crk*"', '"up*"', '"c?k*"', '"crk\\*"', '"crk0"')),
    "iface_index": (("iif", "oif", "fib saddr oif", "fib daddr oif"), ("lo", "1", "up0")),
    "devgroup": (("iifgroup", "oifgroup"), ("0", "7", "4294967295")),
    "mark": (("meta mark", "ct mark", "socket mark"), ("0", "7", "0x10000")),
    "icmp_type": (("icmp type",), ("8", "0", "3", "13")),
    "icmpv6_type": (("icmpv6 type",), ("128", "129", "1", "135", "143", "134")),
    "ct_state": (("ct state",), ("new", "established", "related", "invalid", "untracked")),
    "nf_proto": (("meta nfproto",), ("ipv4", "ipv6")),
    "ether_type": (("meta protocol", "ether type"), ("ip", "ip6", "arp", "vlan")),
}
"""By type of a set's keys what has a value of it, and values."""

FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ip": {
        "ip dscp": ("cs1", "0", "46"),
        "ip ecn": ("not-ect", "ce", "ect0"),
        "ip ttl": ("1", "2", "63", "64", "128"),
        "ip length": ("40", "47", "52", "100"),
        "ip id": ("0", "1", "4660"),
        "ip frag-off": ("0", "1", "8192", "16384"),
        "ip hdrlength": ("5", "6"),
        "ip version": ("4", "5"),
        "ip checksum": ("0", "1"),
    },
    "ip6": {
        "ip6 dscp": ("cs1", "0", "46"),
        "ip6 ecn": ("not-ect", "ce"),
        "ip6 flowlabel": ("0", "5"),
        "ip6 hoplimit": ("1", "2", "63", "64", "255"),
        "ip6 length": ("20", "31", "100"),
        "ip6 version": ("6", "5"),
        "exthdr hbh": ("exists", "missing"),
        "exthdr frag": ("exists", "missing"),
        "exthdr dst": ("exists", "missing"),
        "hbh nexthdr": ("6", "17"),
        "frag more-fragments": ("0", "1"),
        "rt type": ("0", "4"),
    },
    "transport": {
        "tcp flags": ("syn", "ack", "syn,ack", "rst", "fin"),
        "tcp sequence": ("0", "7"),
        "tcp ackseq": ("0", "7"),
        "tcp doff": ("5", "6"),
        "tcp window": ("1024", "2000"),
        "tcp urgptr": ("0", "1"),
        "tcp option maxseg": ("exists", "missing"),
        "tcp option sack-perm": ("exists", "missing"),
        "udp length": ("8", "19", "20", "100"),
        "udp checksum": ("0", "1"),
        "sctp vtag": ("0", "1"),
        "sctp chunk init": ("exists", "missing"),
        "icmp code": ("0", "1", "3"),
        "icmp id": ("0", "1"),
        "icmp sequence": ("0", "1"),
        "icmpv6 code": ("0", "1", "4"),
        "icmpv6 id": ("0", "1"),
        "igmp type": ("17", "22"),
        "esp spi": ("1", "256"),
        "@th,16,16": ("80", "53"),
    },
    "raw": {
        "@nh,96,32": ("0x0a410001", "0xcb007109"),
        "@nh,64,8": ("64", "63"),
        "@nh,72,8": ("6", "17"),
        "@nh,0,4": ("4", "6"),
        "@th,0,16": ("49152", "80"),
        "@ll,96,16": ("2048", "34525"),
    },
    "meta": {
        "meta length": ("40", "47", "67", "100"),
        "meta priority": ("0", "1:2"),
        "meta pkttype": ("host", "broadcast", "other"),
        "meta cpu": ("0", "1", "77"),
        "meta skuid": ("0", "1000"),
        "meta skgid": ("0", "1000"),
        "meta cgroup": ("0", "7"),
        "meta iiftype": ("ether", "loopback"),
        "meta oiftype": ("ether", "loopback"),
        "meta iifkind": ('"veth"', '"dummy"'),
        "meta oifkind": ('"veth"', '"vrf"'),
        "meta rtclassid": ("0", "7"),
        "meta time": ('"2020-01-01 00:00:00"', '"2040-01-01 00:00:00"'),
        "meta hour": ('"00:00"', '"23:59"'),
        "meta day": ('"Monday"', '"Saturday"'),
        "meta random": ("0", "2147483648"),
        "meta ipsec": ("exists", "missing"),
        "meta sdif": ('"lo"', '"up0"'),
        "meta sdifname": ('"lo"', '""'),
        "meta ibrname": ('"br0"',),
    },
    "ct": {
        "ct direction": ("original", "reply"),
        "ct status": ("expected", "seen-reply", "assured", "confirmed", "snat", "dnat"),
        "ct expiration": ("10s", "10m"),
        "ct helper": ('"ftp"',),
        "ct zone": ("0", "3"),
        "ct label": ("1", "3"),
        "ct id": ("1", "7"),
        "ct bytes": ("0", "100"),
        "ct packets": ("0", "1"),
        "ct avgpkt": ("0", "47"),
        "ct l3proto": ("ipv4", "ipv6"),
        "ct original protocol": ("6", "17"),
        "ct original proto-dst": ("80", "53"),
        "ct reply proto-src": ("80", "53"),
        "ct original packets": ("0", "1"),
    },
    "lookups": {
        "fib saddr oif": ("exists", "missing"),
        "fib daddr oif": ("exists", "missing"),
        "fib saddr . iif oif": ("exists", "missing"),
        "fib saddr type": ("local", "unicast", "blackhole"),
        "fib daddr type": ("local", "unicast", "unreachable"),
        "fib daddr . iif type": ("local", "unicast"),
        "fib daddr oifname": ('"up0"', '"lo"'),
        "rt mtu": ("1460", "1500"),
        "rt classid": ("0", "7"),
        "rt ipsec": ("exists", "missing"),
        "socket transparent": ("0", "1"),
        "socket wildcard": ("0", "1"),
        "osf name": ('"Linux"', '"unknown"'),
        "osf version": ('"Linux:3.0"',),
    },
    "numbers": {
        "numgen random mod 2": ("0", "1"),
        "numgen inc mod 2": ("0", "1"),
        "jhash ip saddr mod 2": ("0", "1"),
        "jhash ip daddr . tcp dport mod 2": ("0", "1"),
        "symhash mod 2": ("0", "1"),
    },
}
"""By group what else may be asked, each with values."""

MASKED = (
    "tcp flags & (syn|ack) == syn",
    "tcp flags & syn != 0",
    "tcp flags ! syn",
    "tcp flags syn / syn,ack,rst",
    "tcp dport & 1 == 0",
    "udp dport & 0xff00 == 0",
    "ip saddr & 255.255.255.0 == 203.0.113.0",
    "ip saddr & 0.0.0.1 == 0.0.0.1",
    "ip daddr & 255.0.255.0 != 10.0.0.0",
    "ip6 saddr & ffff:ffff:: == 2001:db8::",
    "ip ttl & 1 == 0",
    "meta mark & 0xff == 7",
    "meta mark & 0xff != 7",
    "meta mark 0x7/0xf",
    "ct mark & 1 == 1",
    "ct state ! new",
    "ct state & (established|related) != 0",
    "ct state == established,related",
    "ct state != established,related",
    "ct status & seen-reply == 0",
    "iifgroup & 1 == 1",
    "meta l4proto & 1 == 0",
)

NEEDS = {
    "c0": "add counter {T} c0 { }",
    "q0": "add quota {T} q0 { over 1 mbytes }",
    "l0": "add limit {T} l0 { rate 1/second }",
    "ct0": "add ct timeout {T} ct0 { protocol tcp; policy = { established : 60 }; }",
    "sp0": "add synproxy {T} sp0 { mss 1460; wscale 7; timestamp sack-perm; }",
    "@dyn4": "add set {T} dyn4 { type ipv4_addr; flags dynamic, timeout; size 100; timeout 1h; }",
    "@dyn6": "add set {T} dyn6 { type ipv6_addr; flags dynamic; size 100; }",
    "@ft0": "add flowtable {T} ft0 { hook ingress priority 0; devices = { up0 }; }",
    "new": "add chain {T} new\nadd rule {T} new {NEW}",
}
"""By a word of a statement what has to be in the table for it."""

STATEMENTS = {
    "count": ("counter", "counter name c0", "last"),
    "log": (
        "log",
        'log prefix "a b: "',
        "log level debug flags all",
        "log group 5",
        "log group 5 snaplen 40",
        "log level audit",
    ),
    "limit": (
        "limit rate 1/second",
        "limit rate 5/minute burst 9 packets",
        "limit rate over 1/hour burst 1 packets",
        "limit rate 10 kbytes/second",
        "limit name l0",
    ),
    "quota": ("quota 1 kbytes", "quota over 1 bytes", "quota until 9 mbytes", "quota name q0"),
    "ct count": ("ct count 5", "ct count over 1"),
    "mangle": (
        "ip ttl set 1",
        "ip ttl set 64",
        "ip6 hoplimit set 1",
        "ip dscp set cs1",
        "ip daddr set 203.0.113.9",
        "tcp dport set 81",
        "udp dport set 54",
        "tcp option maxseg size set 500",
        "tcp option maxseg size set rt mtu",
        "reset tcp option sack-perm",
    ),
    "meta set": (
        "meta mark set 7",
        "meta mark set ip saddr map { 203.0.113.9 : 7 }",
        "meta priority set 1:2",
        "meta pkttype set host",
        "meta nftrace set 1",
    ),
    "ct set": (
        "ct mark set 7",
        "ct zone set 5",
        "ct label set 3",
        "ct event set new",
        'ct timeout set "ct0"',
        "notrack",
    ),
    "set": (
        "add @dyn4 { ip saddr }",
        "update @dyn4 { ip saddr timeout 1m }",
        "delete @dyn4 { ip daddr }",
        "add @dyn4 { ip saddr limit rate over 1/second }",
        "add @dyn6 { ip6 saddr }",
    ),
    "elsewhere": (
        "dup to 203.0.113.9",
        "dup to 203.0.113.9 device up0",
        "tproxy ip to :80",
        "tproxy ip to 192.0.2.1:80",
        "queue num 0",
        "queue num 0 bypass",
        "redirect to :80",
        "masquerade",
        "masquerade random",
        "snat ip to 203.0.113.77",
        "dnat ip to 203.0.113.77",
        "synproxy mss 1460 wscale 7",
        "synproxy name sp0",
        "flow add @ft0",
    ),
    "reject": (
        "reject",
        "reject with tcp reset",
        "reject with icmp type host-unreachable",
        "reject with icmpv6 type no-route",
        "reject with icmpx type admin-prohibited",
    ),
}
"""By kind what a rule may do beside its verdict."""

DECORATIONS = ("", "", 'comment "why"', "timeout 1h")
"""What an element of a set may have."""
STATEFUL = ("", "", "", "counter; ", "limit rate 1/second; ", "ct count over 1; ")
"""What all elements of a set may have."""
IN_THE_RULE = ("", "", 'comment "x"')
"""The same where the set stands in a rule."""
BESIDE = {
    4: ("10.65.1.0/24", "10.64.255.255", "10.65.1.0-10.65.1.9", "10.65.0.0/25"),
    6: ("fd65:0:0:1::/64", "fd64:ffff::1", "fd65::/65"),
}
"""By family ranges at the edges of the networks'."""
LIVE = ('comment "why"', 'comment "a . b"', "counter", "")
"""The same of the table's own sets."""

BASES = {
    "inet": ("prerouting", "input", "forward", "output", "postrouting", "ingress"),
    "ip": ("prerouting", "input", "forward", "output", "postrouting"),
    "ip6": ("prerouting", "input", "forward", "output", "postrouting"),
    "bridge": ("prerouting", "input", "forward", "output", "postrouting"),
    "arp": ("input", "output"),
    "netdev": ("ingress", "egress"),
}
"""By family the hooks."""
NAT = ("prerouting", "input", "output", "postrouting")
PRIORITIES = (-450, -300, -150, -10, 0, 1, 100, 300)
