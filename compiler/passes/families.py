"""Rules about both address families in, rules about one family each out, wherever addresses or ICMP say one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import Diagnostic, error, warning
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, Match, NameRef, Net, Network, Rule, Side

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definitions

BOTH = frozenset((4, 6))


def families(network: Network, _: Definitions | None) -> tuple[Network, tuple[Diagnostic, ...]]:
    """A rule with nets, notNets or ICMP is about those families only, as in Calico; each gets its own rule.

    An error where no family is left, such as an IPv4 source with an IPv6 destination. A rule that names
    neither addresses nor ICMP stays as it is.

    >>> from ipaddress import ip_network
    >>> from calico_rkt.compiler.ir.model import Action
    >>> nets = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    >>> rule = Rule(Action.ALLOW, Match(source=Side(nets=nets)))
    >>> done, _ = families(Network("web", "web", ingress=(rule,)), None)
    >>> [(r.match.ip_version, *map(str, r.match.source.nets)) for r in done.ingress]
    [(4, '10.0.0.0/8'), (6, 'fd00::/8')]
    """
    found: list[Diagnostic] = []
    ingress = tuple(part for rule in network.ingress for part in _split(rule, found))
    egress = tuple(part for rule in network.egress for part in _split(rule, found))
    return replace(network, ingress=ingress, egress=egress), tuple(found)


def _split(rule: Rule, found: list[Diagnostic]) -> Iterable[Rule]:
    if (alone := _of_one_family(rule.match)) is not None:
        return (Rule(rule.action, alone, rule.span),)
    positive = _positive(rule.match)
    negative = _negative(rule.match)
    left = frozenset.intersection(BOTH, *positive.values(), *negative.values())
    if not left:
        said = ", ".join(f"{name} is {_words(v)}" for name, v in {**positive, **negative}.items() if v != BOTH)
        hint = "no packet can match; a rule's addresses, ipVersion and ICMP are of one family"
        found.append(error("CR403", f"the rule contradicts itself: {said}", rule.span, hint=hint))
        return ()
    if not positive and not negative:
        return (rule,)
    wanted = frozenset.intersection(BOTH, *positive.values())
    if left != wanted and not _narrowing_is_clear(rule, positive, negative, found):
        return ()
    return tuple(replace(rule, match=_of_family(rule.match, version)) for version in sorted(left))


def _of_one_family(m: Match) -> Match | None:
    """The match with its family, where its nets say the same one and nothing else says any: most are so."""
    if m.protocol in (ICMP, ICMPV6) or m.source.not_nets or m.destination.not_nets:
        return None
    named = {0 if isinstance(n, NameRef) else n.version for n in (*m.source.nets, *m.destination.nets)}
    version = named.pop() if named else 0
    if named or not version or m.ip_version not in (None, version):
        return None
    return Match(version, m.protocol, m.not_protocol, m.icmp, m.not_icmp, m.source, m.destination)


def _narrowing_is_clear(
    rule: Rule, positive: dict[str, frozenset[int]], negative: dict[str, frozenset[int]], found: list[Diagnostic]
) -> bool:
    """Whether notNets of one family may take the other one out of a rule: not where the rule names it elsewhere."""
    name, versions = next((n, v) for n, v in negative.items() if v != BOTH)
    (kept,) = versions
    lost = 10 - kept
    if positive:
        message = f"{name} has no IPv{lost}, so the rule's other IPv{lost} addresses would match nothing"
        hint = f"add IPv{lost} to {name}, or write one rule for each family"
        found.append(error("CR405", message, rule.span, hint=hint))
        return False
    message = f"{name} names IPv{kept} only, so as in Calico no IPv{lost} packet matches this rule"
    hint = f"write ipVersion: {kept} to say so, or add IPv{lost} to {name}"
    found.append(warning("CR404", message, rule.span, hint=hint))
    return True


def _positive(match: Match) -> dict[str, frozenset[int]]:
    """The families that each field which names some asks for."""
    out: dict[str, frozenset[int]] = {}
    if match.ip_version is not None:
        out["ipVersion"] = frozenset((match.ip_version,))
    if match.protocol in (ICMP, ICMPV6):
        out["ICMP" if match.protocol == ICMP else "ICMPv6"] = frozenset((4 if match.protocol == ICMP else 6,))
    for name, side in (("source", match.source), ("destination", match.destination)):
        if side.nets:
            out[f"{name}.nets"] = _versions(side.nets)
    return out


def _negative(match: Match) -> dict[str, frozenset[int]]:
    sides = (("source", match.source), ("destination", match.destination))
    return {f"{name}.notNets": _versions(side.not_nets) for name, side in sides if side.not_nets}


def _versions(nets: Iterable[Net | NameRef]) -> frozenset[int]:
    return frozenset(n.version for n in nets if not isinstance(n, NameRef))


def _of_family(match: Match, version: int) -> Match:
    return replace(
        match,
        ip_version=version,
        source=_side_of_family(match.source, version),
        destination=_side_of_family(match.destination, version),
    )


def _side_of_family(side: Side, version: int) -> Side:
    nets = tuple(n for n in side.nets if not isinstance(n, NameRef) and n.version == version)
    not_nets = tuple(n for n in side.not_nets if not isinstance(n, NameRef) and n.version == version)
    unchanged = len(nets) == len(side.nets) and len(not_nets) == len(side.not_nets)
    return side if unchanged else replace(side, nets=nets, not_nets=not_nets)


def _words(versions: frozenset[int]) -> str:
    return " and ".join(f"IPv{v}" for v in sorted(versions))
