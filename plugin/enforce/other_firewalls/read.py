"""The kernel's other firewalls in, as nft's JSON or iptables' own listing; chains of plain rules out.

A rule keeps of its conditions only what can be told of a packet by its interfaces, its family and being new;
everything else is UNTOLD.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """A condition that can be decided: about is iifname, oifname, family or state; one of values has to fit."""

    about: str
    values: tuple[str, ...]
    negated: bool = False


UNTOLD = Told("", ())
"""A condition on anything else: it may or may not hold."""


@dataclass(frozen=True, slots=True)
class ChainRule:
    """verdict: accept, drop, return, jump, goto; target: a chain's name for the last two."""

    conditions: tuple[Told, ...]
    verdict: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One chain that sees forwarded packets, with the chains of its table that it may jump to.

    tool: nft, or the iptables program that owns the table; family as nft has it: ip, ip6, inet.
    """

    tool: str
    family: str
    table: str
    chain: str
    policy: str
    chains: Mapping[str, tuple[ChainRule, ...]]


def from_nft(objects: Iterable[Mapping[str, Any]]) -> tuple[Forwarding, ...]:
    """Every chain on the forward hook in nft's JSON of whole tables."""
    listed = tuple(objects)
    chains = [o["chain"] for o in listed if "chain" in o]
    found = []
    for base in chains:
        if base.get("hook") != "forward" or base["family"] not in ("ip", "ip6", "inet"):
            continue
        place = (base["family"], base["table"])
        maps = {m["name"]: m.get("elem", []) for m in _of(place, listed, "map")}
        rules: dict[str, tuple[ChainRule, ...]] = {c["name"]: () for c in chains if (c["family"], c["table"]) == place}
        for rule in _of(place, listed, "rule"):
            rules[rule["chain"]] += tuple(_nft_rules(rule["expr"], maps))
        tool = {"ip": "iptables", "ip6": "ip6tables"}.get(base["family"], "nft")
        if (base["table"], base["name"]) != ("filter", "FORWARD"):
            tool = "nft"
        found.append(Forwarding(tool, *place, base["name"], base.get("policy", "accept"), rules))
    return tuple(found)


def _of(place: tuple[str, str], listed: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Any]:
    return (o[kind] for o in listed if kind in o and (o[kind]["family"], o[kind]["table"]) == place)


_NEUTRAL = ("counter", "log", "mangle", "notrack", "comment")
_VERDICTS = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump", "goto": "goto"}


def _nft_rules(statements: Iterable[Mapping[str, Any]], maps: Mapping[str, Any]) -> Iterator[ChainRule]:
    """The verdicts of one rule, each with the conditions in front of it; a verdict map gives one a key."""
    conditions: list[Told] = []
    for statement in statements:
        ((kind, value),) = statement.items()
        if kind == "match":
            conditions.append(_nft_match(value))
        elif kind in _VERDICTS:
            yield _nft_verdict(conditions, statement)
        elif kind == "vmap":
            data = value["data"]
            pairs = maps.get(data.removeprefix("@"), []) if isinstance(data, str) else data["set"]
            for key, verdict in pairs:
                yield _nft_verdict([*conditions, _nft_match({"left": value["key"], "op": "==", "right": key})], verdict)
        elif kind == "xt" and value is not None and value.get("type") == "target":
            if value.get("name") in ("REJECT", "DROP"):
                yield ChainRule(tuple(conditions), "drop")
        elif kind not in _NEUTRAL and not (kind == "xt" and value and value.get("name") == "comment"):
            conditions.append(UNTOLD)


def _nft_verdict(conditions: Iterable[Told], statement: Mapping[str, Any]) -> ChainRule:
    ((kind, value),) = statement.items()
    target = value["target"] if kind in ("jump", "goto") else ""
    return ChainRule(tuple(conditions), _VERDICTS.get(kind, "return"), target)


_NFT_ABOUT = {
    ("meta", "iifname"): "iifname",
    ("meta", "iif"): "iifname",
    ("meta", "oifname"): "oifname",
    ("meta", "oif"): "oifname",
    ("meta", "nfproto"): "family",
    ("meta", "protocol"): "family",
    ("ct", "state"): "state",
}


def _nft_match(match: Mapping[str, Any]) -> Told:
    left, right = match["left"], match["right"]
    if not isinstance(left, dict) or match["op"] not in ("==", "!=", "in"):
        return UNTOLD
    ((kind, value),) = left.items()
    about = _NFT_ABOUT.get((kind, value.get("key", "") if isinstance(value, dict) else ""))
    values = right["set"] if isinstance(right, dict) and "set" in right else right
    values = values if isinstance(values, list) else [values]
    if about is None or not all(isinstance(v, str) for v in values):
        return UNTOLD
    return Told(about, tuple(values), match["op"] == "!=")


_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_UNDECIDING = (
    "LOG",
    "NFLOG",
    "MARK",
    "CONNMARK",
    "TCPMSS",
    "CT",
    "NOTRACK",
    "AUDIT",
    "TRACE",
    "DSCP",
    "TOS",
    "CLASSIFY",
)


def from_iptables(listing: str, tool: str) -> tuple[Forwarding, ...]:
    """The FORWARD chain in what `iptables-legacy -S` prints of the table filter."""
    policy = ""
    chains: dict[str, tuple[ChainRule, ...]] = {}
    for line in listing.splitlines():
        words = shlex.split(line)
        if words[:2] == ["-P", "FORWARD"]:
            policy = {"ACCEPT": "accept"}.get(words[2], "drop")
        if words[:1] in (["-P"], ["-N"]):
            chains[words[1]] = ()
        elif words[:1] == ["-A"]:
            chains[words[1]] += tuple(_iptables_rule(words[2:]))
    family = "ip6" if tool.startswith("ip6") else "ip"
    return (Forwarding(tool, family, "filter", "FORWARD", policy, chains),) if policy else ()


def _iptables_rule(words: list[str]) -> Iterator[ChainRule]:
    conditions: list[Told] = []
    negated = False
    rest = iter(words)
    for word in rest:
        if word == "!":
            negated = True
            continue
        if word in ("-j", "-g"):
            target = next(rest)
            if target not in _UNDECIDING:
                verdict = _TARGETS.get(target) or ("jump" if word == "-j" else "goto")
                yield ChainRule(tuple(conditions), verdict, "" if target in _TARGETS else target)
            return
        if word in ("-i", "-o"):
            name = next(rest)
            pattern = name[:-1] + "*" if name.endswith("+") else name
            conditions.append(Told("iifname" if word == "-i" else "oifname", (pattern,), negated))
        elif word in ("--ctstate", "--state"):
            conditions.append(Told("state", tuple(next(rest).lower().split(",")), negated))
        elif word in {"--comment", "-m"}:
            next(rest)
        else:  # an option, or its value, of which nothing can be told
            conditions.append(UNTOLD)
        negated = False
