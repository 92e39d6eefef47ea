"""A table and a source of chance in; one edit of it as somebody with nft might make it, out."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from calico_rkt.plugin.link.groups import group_of

T = "inet calico_rkt"
_HANDLE = re.compile(r"\t\t(.*) # handle (\d+)$")
_BASE = ("prerouting", "foreign", "forward", "strays", "input")
_VERDICTS = ("accept", "drop", "return")
_NUMBER = re.compile(r"\b(\d{1,5})\b(?!\.)")


@dataclass(frozen=True)
class Edit:
    """kind, in a word; script for nft; chain and rule are what it is about, for packets aimed at it. is_others: whether
    it leaves our table as it is."""

    kind: str
    script: str
    chain: str = ""
    words: str = ""
    is_others: bool = False


def rules_of(listing: str) -> dict[str, list[tuple[int, str]]]:
    """`nft -a list table`: by chain each rule's handle and text; hooks are none."""
    found: dict[str, list[tuple[int, str]]] = {}
    chain = ""
    for line in listing.splitlines():
        if line.startswith("\tchain "):
            chain = line.split()[1]
            found[chain] = []
        elif line.startswith("\t}"):
            chain = ""
        elif chain and (rule := _HANDLE.match(line)) and not rule[1].startswith("type "):
            found[chain].append((int(rule[2]), rule[1]))
    return found


class Editor:
    """names: the interfaces of endpoints; addresses: theirs; nets: what rules here speak of and what they don't."""

    def __init__(self, chance: random.Random, names: list[str], addresses: list[str]) -> None:
        self.chance, self.names, self.addresses = chance, names, addresses

    def edit(self, rules: dict[str, list[tuple[int, str]]]) -> Edit:
        """Any edit, each kind as likely."""
        one = self.chance.choice
        chains = sorted(c for c in rules if c != "layout" and rules[c])
        chain = one(chains)
        at = self.chance.randrange(len(rules[chain]))
        handle, words = rules[chain][at]
        kind = one(
            (
                "delete",
                "insert",
                "insert",
                "insert",
                "replace",
                "move",
                "verdict",
                "value",
                "flush",
                "policy",
                "element",
                "element",
            )
        )
        if kind == "delete":
            return Edit(kind, f"delete rule {T} {chain} handle {handle}", chain, words)
        if kind == "insert":
            rule = self.rule(chain)
            return Edit(kind, f"insert rule {T} {chain} position {handle} {rule}", chain, rule)
        if kind == "replace":
            rule = self.rule(chain)
            return Edit(kind, f"replace rule {T} {chain} handle {handle} {rule}", chain, f"{words} {rule}")
        if kind == "move":
            other, _ = one(rules[chain])
            return Edit(
                kind,
                f"insert rule {T} {chain} position {other} {words}\ndelete rule {T} {chain} handle {handle}",
                chain,
                words,
            )
        if kind == "verdict":
            verdict = one(_VERDICTS)
            changed = re.sub(r"\b(accept|drop|return)\b(?=( comment .*)?$)", verdict, words)
            return Edit(kind, f"replace rule {T} {chain} handle {handle} {changed}", chain, words)
        if kind == "value":
            changed = _NUMBER.sub(lambda m: str(max(0, int(m[1]) + one((-1, 1, 7)))), words, count=1)
            return Edit(kind, f"replace rule {T} {chain} handle {handle} {changed}", chain, f"{words} {changed}")
        if kind == "flush":
            return Edit(kind, f"flush chain {T} {chain}", chain)
        if kind == "policy":
            chain = one(_BASE)
            return Edit(kind, f"chain {T} {chain} {{ policy drop; }}", chain)
        return self._element()

    def _element(self) -> Edit:
        one = self.chance.choice
        version = one((4, 6))
        mine = [a for a in self.addresses if (":" in a) == (version == 6)]
        strange = {4: ["203.0.113.50", "198.51.100.7", "10.65.0.77"], 6: ["2001:db8:9::50", "fd65::77"]}[version]
        name = one(
            (
                "m{}-web",
                "m{}-api",
                "m{}-shut",
                "all{}",
                "masq{}",
                "source{}",
                "pools{}",
                "endpoints",
                "from",
                "to",
                "host",
            )
        ).format(version)
        verb = one(("add", "delete"))
        if name in ("from", "to", "host"):
            where = {"from": "from_network", "to": "to_network", "host": "network_to_host"}[name]
            chain = {"from": "out", "to": "in", "host": "host"}[name]
            mine, network = one(("web", "api", "shut")), one(("web", "api", "shut"))
            group = str(group_of(mine))
            gone = f"delete element {T} {where} {{ {group} }}"
            if verb == "delete":
                return Edit("element", gone, "", group)
            key = one((group, group, "*"))  # `*` is every group that no other element has
            return Edit("element", f"{gone}\nadd element {T} {where} {{ {key} : goto {chain}-{network} }}", "", group)
        if name == "endpoints":
            key = f"{one(self.names)} . {group_of(one(('web', 'api', 'shut')))}"
            return Edit("element", f"{verb} element {T} {name} {{ {key} }}", "", key)
        address = one([*mine, *strange]) if verb == "add" else one(mine)
        if name.startswith("source"):
            key = f"{one(self.names)} . {address}"
        elif name.startswith("pools"):
            key = one(("198.51.100.0/24", "203.0.113.0/25")) if version == 4 else "2001:db8:9::/64"
            if verb == "delete":
                key = {4: "10.65.0.0/24", 6: "fd65::/64"}[version]
        else:
            key = address
        return Edit("element", f"{verb} element {T} {name} {{ {key} }}", "", key)

    def rule(self, chain: str) -> str:
        """Conditions and a verdict, as somebody might write them."""
        one = self.chance.choice
        address = one(
            [
                *self.addresses,
                "203.0.113.0/24",
                "203.0.113.9",
                "198.51.100.0/24",
                "10.65.0.0/28",
                "2001:db8::9",
                "fd65::/124",
            ]
        )
        family = "ip6" if ":" in address else "ip"
        interfaces = [*self.names, "up0", '"crk*"', '"c?k*"']
        groups = (*(group_of(i) for i in ("web", "api", "shut")), 0, 7)
        ports = ("80", "53", "22", "{ 80, 443 }", "8000-8100", "!= 25", "1-1024")
        conditions = [
            f"{family} {one(('saddr', 'daddr'))} {one(('', '!= '))}{address}",
            f"{one(('tcp', 'udp'))} {one(('dport', 'sport'))} {one(ports)}",
            f"meta l4proto {one(('tcp', 'udp', 'icmp', 'ipv6-icmp', '47', '!= tcp'))}",
            f"meta nfproto {one(('ipv4', 'ipv6'))}",
            f"meta protocol {one(('ip', 'ip6', '!= ip', '{ ip, vlan }'))}",
            f"ip saddr {one(('', '!= '))}@m4-{one(('web', 'api', 'shut'))}",
            f"ip6 daddr @m6-{one(('web', 'api', 'shut'))}",
            one(("icmp type echo-request", "icmpv6 type echo-request", "icmp type != echo-request")),
        ]
        if not chain.startswith(("out-", "in-", "host-")) or self.chance.random() < 0.2:
            conditions += [
                f"iifname {one(('', '!= '))}{one(interfaces)}",
                f"ct state {one(('new', 'established', 'invalid', 'related', 'established,related'))}",
                "meta mark 7",
                f"iifgroup {one(('', '!= '))}{one(groups)}",
            ]
        if chain in ("forward", "strays", "postrouting", "egress", "ingress"):
            conditions += [f"oifname {one(('', '!= '))}{one(interfaces)}", f"oifgroup {one(('', '!= '))}{one(groups)}"]
        chosen = self.chance.sample(conditions, self.chance.choice((0, 1, 1, 1, 2)))
        verdict = one((*_VERDICTS, *_VERDICTS, "counter", "log", "continue drop"))
        if chain.startswith(("out-", "in-")) and self.chance.random() < 0.5:
            verdict = one(("return", "drop"))
        return " ".join([*chosen, verdict])
