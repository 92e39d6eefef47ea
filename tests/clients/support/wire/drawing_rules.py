"""A random generator and the names of a host in, random lists of rules over the whole grammar of overrides out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from calico_rkt.compiler.ir.ids import object_id

OUTSIDE = {
    4: ("0.0.0.0/0", "8.0.0.0/7", "192.0.2.0/24", "192.0.2.9/32", "198.51.100.0/25", "203.0.113.7/32", "10.0.0.0/8"),
    6: ("::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:ffff::9/128", "2001:db8:2::7/128", "fd00::/8"),
}
"""Nets of the outside, some of which hold everything of ours as well."""
PORTS = (1, 22, 53, 80, 443, 1023, 1024, 8080, 32768, 65534, 65535)
PORTED = {"TCP": 6, "UDP": 17, "SCTP": 132}
ICMP_TYPES = {"ICMP": (8, 13, 15, 17, 0, 3, 9, 254), "ICMPv6": (128, 130, 133, 135, 136, 143, 129, 1, 200)}


@dataclass(frozen=True)
class Names:
    """What rules of a host may name: networks, their ids (which are labels), their nets by family."""

    networks: tuple[str, ...]
    ids: dict[str, str]
    nets: dict[int, tuple[str, ...]]

    @classmethod
    def of(cls, confs: Sequence[dict[str, Any]]) -> Names:
        names = tuple(c["name"] for c in confs)
        subnets = [ip_network(r["subnet"]) for c in confs for one in c["ipam"]["ranges"] for r in one]
        halves = [half for s in subnets for half in (s, *s.subnets())]
        # Addresses are given in turn from the first that is free: these are some endpoints' own.
        singles = [ip_network(s[n]) for s in subnets for n in (2, 3, 4, 5)]
        nets = {v: tuple(str(n) for n in (*halves, *singles) if n.version == v) for v in (4, 6)}
        return cls(names, {name: object_id(name) for name in names}, nets)


def definitions(rng: random.Random, names: Names) -> dict[str, Any]:
    """Names of nets of one family and of both, and of ports."""
    four, six = ([_net(rng, names, v) for _ in range(rng.randint(1, 3))] for v in (4, 6))
    many = [f"100.{64 + n // 256}.{n % 256}.0/25" for n in range(rng.choice((2, 300)))]
    nets = {"four": four, "six": six, "both": [four[0], six[0]], "many": many}
    return {"nets": nets, "ports": {"some": [_port(rng) for _ in range(rng.randint(1, 3))]}}


def list_of_rules(rng: random.Random, names: Names, *, inside_default: bool = False) -> list[Any]:
    """One direction: few rules, or enough to become maps; often the default ones, often an end that lets all on."""
    found: list[Any] = [_rule(rng, names, own=inside_default) for _ in range(rng.choice((0, 1, 2, 3, 4, 6, 8, 30, 60)))]
    if not inside_default and rng.random() < 0.3:
        found.insert(rng.randint(0, len(found)), "default")
    if found and rng.random() < 0.4:
        found.append({"action": "Allow"})
    return found


def plain_list(rng: random.Random, names: Names) -> list[Any]:
    """Of a plain Calico Profile, which knows no names of ours and no fields of two families."""
    return [_rule(rng, names, plain=True) for _ in range(rng.randint(0, 5))]


def _rule(rng: random.Random, names: Names, *, plain: bool = False, own: bool = False) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": rng.choice(("Allow", "Allow", "Allow", "Deny", "Deny", "Log"))}
    families = rng.choice(((4, 6), (4, 6), (4,), (6,)))
    kind = rng.choice(("", "", "TCP", "TCP", "UDP", "UDP", "SCTP", "ICMP", "ICMPv6", "number", "not"))
    if kind in ICMP_TYPES:
        families = (4,) if kind == "ICMP" else (6,)
        rule["protocol"] = kind
        if rng.random() < 0.8:
            what: dict[str, int] = {"type": rng.choice(ICMP_TYPES[kind])}
            what |= {"code": rng.choice((0, 0, 1, 255))} if rng.random() < 0.4 else {}
            rule[rng.choice(("icmp", "icmp", "notICMP"))] = what
    elif kind == "number":
        rule["protocol"] = rng.choice((6, 17, 47, 99, 132, 136, 255, "UDPLite", 1, 58, 2, 4, 41))
    elif kind == "not":
        rule["notProtocol"] = rng.choice(("TCP", "UDP", "SCTP", "UDPLite", 47, 99, "ICMP", "ICMPv6"))
    elif kind:
        rule["protocol"] = kind
        if rng.random() < 0.15:
            rule["notProtocol"] = rng.choice([p for p in PORTED if p != kind])
    numbers = {str(rule.get(k)) for k in ("protocol", "notProtocol")}
    if numbers & {"ICMP", "1"}:
        families = (4,)
    elif numbers & {"ICMPv6", "58"}:
        families = (6,)
    for end in ("source", "destination"):
        if side := _side(rng, names, families, kind in PORTED, plain=plain, own=own):
            rule[end] = side
    one_family = plain and any(k in rule.get(e, {}) for e in ("source", "destination") for k in ("nets", "notNets"))
    if len(families) == 1 and (one_family or rng.random() < 0.6):
        rule["ipVersion"] = families[0]
    return rule


def _side(
    rng: random.Random, names: Names, families: Sequence[int], ported: bool, *, plain: bool, own: bool
) -> dict[str, Any]:
    side: dict[str, Any] = {}
    if rng.random() < 0.3 and not (plain and len(families) == 2):
        side["nets"] = _nets(rng, names, families, defined=not plain, whole=True)
    if rng.random() < 0.15 and not (plain and len(families) == 2):
        side["notNets"] = _nets(rng, names, families, defined=not plain)
    if ported and rng.random() < 0.5:
        side["ports"] = [_port(rng) for _ in range(rng.randint(1, 3))]
    elif ported and not plain and rng.random() < 0.1:
        side["ports"] = ["some"]
    if ported and rng.random() < 0.2:
        side["notPorts"] = [_port(rng) for _ in range(rng.randint(1, 2))]
    who = rng.random()
    if who < 0.2 and not plain:
        some = rng.sample(names.networks, rng.randint(1, min(2, len(names.networks))))
        side["network"] = "self" if own and rng.random() < 0.5 else some[0] if len(some) == 1 else some
    elif who < 0.35:
        side["selector"] = _selector(rng, names)
    if rng.random() < 0.1:
        side["notSelector"] = _selector(rng, names)
    return side


def _nets(
    rng: random.Random, names: Names, families: Sequence[int], *, defined: bool, whole: bool = False
) -> list[str]:
    """At least one net of each of these families, so that no two fields of a rule have none in common."""
    found = [_net(rng, names, v, whole=whole) for v in families for _ in range(rng.randint(1, 2))]
    if defined and rng.random() < 0.3:
        four = "many" if whole and rng.random() < 0.5 else "four"  # more than notNets takes
        found.append("both" if len(families) == 2 else four if families[0] == 4 else "six")
    return list(dict.fromkeys(found))


def _net(rng: random.Random, names: Names, version: int, *, whole: bool = False) -> str:
    """whole: it may be every address there is, which notNets can't take."""
    return rng.choice((*OUTSIDE[version][0 if whole else 1 :], *names.nets[version]))


def _port(rng: random.Random) -> Any:
    lo, hi = sorted((rng.choice(PORTS), rng.choice(PORTS)))
    return lo if lo == hi or rng.random() < 0.5 else f"{lo}:{hi}"


def _selector(rng: random.Random, names: Names, depth: int = 0) -> str:
    key = names.ids[rng.choice(names.networks)]
    if depth < 2 and rng.random() < 0.3:
        first, second = (_selector(rng, names, depth + 1) for _ in range(2))
        return f"({first}) {rng.choice(('&&', '||'))} ({second})"
    return rng.choice(_SELECTORS).format(key)


_SELECTORS = (
    *("has({})", "!has({})", "all()"),
    *('{} == ""', '{} != ""', '{} == "x"', '{} != "x"', '{} in {{"", "x"}}', '{} not in {{""}}'),
    *('{} starts with ""', '!({} contains "")'),
)
