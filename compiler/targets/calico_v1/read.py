"""The 2015 document in, what Felix of 2015 makes of it out (calico/common.py, felix/frules.py).

Its quirks are kept: one rule that it can't validate closes the whole profile; one that it can't render is a
drop of everything at its place; an address without ip_version is left out of the other family's chain.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from ipaddress import ip_network

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import ANY_SIDE, Action, Icmp, Match, Net, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.targets.readback import ReadBack, unreadable

_KEYS = {"action", "protocol", "ip_version", "icmp_type", "icmp_code"} | {
    f"{end}_{field}" for end in ("src", "dst") for field in ("net", "tag", "ports")
}
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132, "udplite": 136}
_WITH_PORTS = ("tcp", "udp", "udplite", "sctp", "dccp")
_TAG = re.compile(r"[a-zA-Z0-9_.-]+")
_DROP = Rule(Action.DENY)


class _InvalidRuleError(Exception):
    """Felix's validator refuses the rule, and with it the profile."""


def read_calico_v1(text: str) -> ReadBack:
    """The profile of the document; no rules at all, hence deny, where Felix finds one of them invalid.

    Raises CompileError (CR510) where the document itself is not tags and rules.
    """
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except ValueError as e:
        raise _bad(f"no JSON: {e}") from e
    if not isinstance(document, dict) or document.keys() != {"tags", "rules"}:
        raise _bad("it is not one object of tags and rules")
    tags, rules = document["tags"], document["rules"]
    if not isinstance(tags, list) or not all(isinstance(t, str) and _TAG.fullmatch(t) for t in tags):
        raise _bad("tags is no list of names")
    profile_id = rules.get("id") if isinstance(rules, dict) else None
    if not isinstance(profile_id, str):
        raise _bad("rules is no object with an id")
    ours: dict[str, str] = rules.get("calico_rkt", {})
    if not isinstance(ours, dict) or not all(isinstance(value, str) for value in ours.values()):
        raise _bad("calico_rkt is no object of texts")
    try:
        ingress, egress = _rules(rules.get("inbound_rules")), _rules(rules.get("outbound_rules"))
    except _InvalidRuleError:
        ingress = egress = ()
    return ReadBack(
        id=profile_id,
        ingress=ingress,
        egress=egress,
        labels=tuple(tags),
        name=ours.get("network", profile_id),
        digest=ours.get("digest", ""),
    )


def _rules(value: object) -> tuple[Rule, ...]:
    if not isinstance(value, list):
        raise _InvalidRuleError
    return tuple(rule for item in value for rule in _rendered(_valid(item)))


def _valid(item: object) -> dict[str, object]:
    """One rule as validate_rules leaves it: null keys gone, the action there."""
    if not isinstance(item, dict):
        raise _InvalidRuleError
    rule = {"action": "allow"} | {key: value for key, value in item.items() if value is not None}
    version, protocol = rule.get("ip_version"), rule.get("protocol")
    checks = (
        rule.keys() <= _KEYS,
        rule["action"] in ("allow", "deny"),
        version in (None, 4, 6) and not isinstance(version, bool),
        protocol is None or (isinstance(protocol, str) and protocol in _PROTOCOLS) or _number(protocol, 1, 255),
        (protocol, version) not in (("icmp", 6), ("icmpv6", 4)),
        all(_is_tag(rule[key]) for key in ("src_tag", "dst_tag") if key in rule),
        all(_is_net(rule[key], version) for key in ("src_net", "dst_net") if key in rule),
        all(_is_ports(rule[key]) and str(protocol) in _WITH_PORTS for key in ("src_ports", "dst_ports") if key in rule),
        all(_number(rule[key], 0, 255, text=False) for key in ("icmp_type", "icmp_code") if key in rule),
        "icmp_code" not in rule or "icmp_type" in rule,
    )
    if not all(checks):
        raise _InvalidRuleError
    return rule


def _rendered(rule: dict[str, object]) -> tuple[Rule, ...]:
    """The rules that stand in the chains of IPv4 and IPv6, as one where both are the same."""
    version = rule.get("ip_version")
    if version is not None:
        return (_in_chain(rule, 4 if version == 4 else 6),)
    four, six = _in_chain(rule, 4), _in_chain(rule, 6)
    alike = replace(four, match=replace(four.match, ip_version=None))
    return (alike,) if alike == replace(six, match=replace(six.match, ip_version=None)) else (four, six)


def _in_chain(rule: dict[str, object], version: int) -> Rule:
    protocol, kind = rule.get("protocol"), rule.get("icmp_type")
    dropped = replace(_DROP, match=Match(ip_version=version))
    if ("src_ports" in rule or "dst_ports" in rule) and protocol not in ("tcp", "udp"):
        return dropped
    if kind is not None and (protocol != ("icmp" if version == 4 else "icmpv6") or kind == 255):
        return dropped
    code = rule.get("icmp_code")
    match = Match(
        ip_version=version,
        protocol=None if protocol is None else _PROTOCOLS.get(str(protocol)) or int(str(protocol)),
        icmp=None if kind is None else Icmp(int(str(kind)), None if code is None else int(str(code))),
        source=_side(rule, "src", version),
        destination=_side(rule, "dst", version),
    )
    return Rule(Action.ALLOW if rule["action"] == "allow" else Action.DENY, match)


def _side(rule: dict[str, object], prefix: str, version: int) -> Side:
    side = ANY_SIDE
    if f"{prefix}_net" in rule:
        net = _net(rule[f"{prefix}_net"])
        # The leak of 2015 (felix#1212): in the other family's chain the match is not there at all.
        side = replace(side, nets=(net,) if net.version == version else ())
    if f"{prefix}_tag" in rule:
        side = replace(side, selector=has(str(rule[f"{prefix}_tag"])))
    if f"{prefix}_ports" in rule:
        side = replace(side, ports=_ports(rule[f"{prefix}_ports"]))
    return side


def _net(value: object) -> Net:
    return ip_network(str(value), strict=False)


def _ports(value: object) -> tuple[PortRange, ...]:
    found = []
    for item in value if isinstance(value, list) else ():
        lo, _, hi = str(item).partition(":")
        found.append(PortRange(int(lo), int(hi or lo)))
    return tuple(found)


def _is_ports(value: object) -> bool:
    return isinstance(value, list) and all(_is_port(item) for item in value)


def _is_port(item: object) -> bool:
    if isinstance(item, str):
        lo, _, hi = item.partition(":")
        return _number(lo, 0, 65535) and _number(hi, 0, 65535) and int(lo) < int(hi)
    return _number(item, 0, 65535, text=False)


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def _is_net(value: object, version: object) -> bool:
    try:
        net = ip_network(value, strict=False) if isinstance(value, str) else None
    except ValueError:
        return False
    return net is not None and version in (None, net.version)


def _number(value: object, least: int, most: int, *, text: bool = True) -> bool:
    if isinstance(value, bool) or not (isinstance(value, int) or (text and isinstance(value, str))):
        return False
    return str(value).isdecimal() and least <= int(value) <= most


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key stands there twice")
    return out


def _bad(message: str) -> CompileError:
    return unreadable("calico-v1", message)
