"""A table and a source of chance in; one edit of what nft's grammar can say, made of attest_words.py, out."""

from __future__ import annotations

import random
from collections.abc import Sequence

from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support import attest_words as words
from tests.kernel.support.attest_edits import Edit, T

_NETWORKS = ("web", "api", "shut")
_LEADS = {"from_network": "out", "to_network": "in", "network_to_host": "host"}
_INTERVALS = ("ipv4_addr", "ipv6_addr", "inet_service", "devgroup", "mark")


class Writer:
    """names: the interfaces of endpoints; addresses: theirs."""

    def __init__(self, chance: random.Random, names: Sequence[str], addresses: Sequence[str]) -> None:
        self.chance, self.one = chance, chance.choice
        self._values = {kind: list(values) for kind, (_, values) in words.KINDS.items()}
        self._values["ipv4_addr"] += [a for a in addresses if ":" not in a] * 2
        self._values["ipv6_addr"] += [a for a in addresses if ":" in a] * 2
        self._values["ifname"] += [f'"{n}"' for n in names] * 2
        self._values["devgroup"] += [str(group_of(i)) for i in _NETWORKS] * 2
        self._before: list[str] = []
        """What a rule needs that is drawn: sets and maps by name."""
        self._rules: dict[str, list[tuple[int, str]]] = {}

    def edit(self, rules: dict[str, list[tuple[int, str]]]) -> Edit:
        """Any edit, by what it is about."""
        self._before, self._rules = [], rules
        kind, make = self.one(
            (
                *[("condition", self._condition_edit)] * 3,
                *[("set", self._set_edit)] * 4,
                *[("map", self._map_edit)] * 3,
                *[("statement", self._statement_edit)] * 3,
                *[("element", self._element_edit)] * 3,
                ("chain", self._chain_edit),
                *[("other table", self._other_edit)] * 4,
            )
        )
        return make(kind)

    # what a rule is made of

    def _condition(self) -> tuple[str, str]:
        """Its group, and the words."""
        kind = self.one((*words.FIELDS, "masked", *["typed"] * 3))
        if kind == "masked":
            return kind, self.one(words.MASKED)
        if kind == "typed":
            return kind, self._typed(self.one([*words.KINDS]))
        field = self.one([*words.FIELDS[kind]])
        return kind, f"{field} {self._right(words.FIELDS[kind][field])}"

    def _right(self, values: Sequence[str]) -> str:
        """What a field is compared with, by each operator that values of its kind may have."""
        a, b = self.one(values), self.one(values)
        if a in ("exists", "missing"):
            return a
        numbers = sorted((a, b), key=lambda v: (len(v), v)) if a.isdecimal() and b.isdecimal() else [a, a]
        lower, upper = numbers
        return self.one(
            (
                a,
                f"!= {a}",
                f"{{ {', '.join(dict.fromkeys((a, b)))} }}",
                f"!= {{ {', '.join(dict.fromkeys((a, b)))} }}",
                f"{lower}-{upper}" if lower != upper else a,
                f"!= {lower}-{upper}" if lower != upper else f"== {a}",
                f"{self.one(('<', '>', '<=', '>='))} {a}",
            )
        )

    def _typed(self, kind: str) -> str:
        left = self.one(words.KINDS[kind][0])
        values = [self._value(kind) for _ in range(3)]
        form = self.one(("plain", "plain", "inline", "named", "named"))
        sign = self.one(("", "", "!= "))
        if form == "plain":
            return f"{left} {self._right(values)}"
        if form == "inline":
            elements = ", ".join(f"{v} {self.one(words.IN_THE_RULE)}" for v in dict.fromkeys(values))
            return f"{left} {sign}{{ {elements} }}"
        return f"{left} {sign}@{self._set((kind,))}"

    def _value(self, kind: str) -> str:
        value = self.one(self._values[kind])
        if kind == "ipv4_addr" and self.chance.random() < 0.2:
            return self.one(("203.0.113.0/24", "10.65.0.0/28", "0.0.0.0/0", "203.0.113.9-203.0.113.60", "10.64.0.0/15"))
        if kind == "ipv6_addr" and self.chance.random() < 0.2:
            return self.one(("2001:db8::/64", "fd65::/124", "::/0", "2001:db8::1-2001:db8::9"))
        if kind == "inet_service" and self.chance.random() < 0.2:
            return self.one(("1-1024", "8000-8100", "0-65535", "79-81"))
        return value

    def _set(self, kinds: Sequence[str], verdicts: Sequence[str] = ()) -> str:
        """A new set or map by name, with what its elements may have."""
        name = f"s{len(self._before)}"
        keys = {" . ".join(self._value(k) for k in kinds) for _ in range(self.chance.randrange(1, 4))}
        wide = any("/" in k or "-" in k.replace("icmp-", "") or '*"' in k for k in keys)
        if self.chance.random() < 0.1:
            keys.add("*")
        flags = (
            ["interval"] if wide or (len(kinds) == 1 and kinds[0] in _INTERVALS and self.chance.random() < 0.2) else []
        )
        drawn = {k: self.one(words.DECORATIONS) for k in sorted(keys)}
        flags += ["timeout"] if any("timeout" in d for d in drawn.values()) else self.one(([], [], ["dynamic"]))
        elements = ", ".join(f"{k} {d}{f' : {self.one(verdicts)}' if verdicts else ''}" for k, d in drawn.items())
        declared = f"type {' . '.join(kinds)}{' : verdict' if verdicts else ''}; "
        declared += f"flags {', '.join(flags)}; " if flags else ""
        declared += self.one(words.STATEFUL)
        what = "map" if verdicts else "set"
        self._before.append(f"add {what} {T} {name} {{ {declared}elements = {{ {elements} }}; }}")
        return name

    def _verdict(self) -> str:
        verdict = self.one(
            ("drop", "drop", "accept", "return", "return", "continue", "jump new", "goto new", "jump", "")
        )
        if verdict == "jump":
            chains = [f"{way}-{i}" for way in ("out", "in") for i in _NETWORKS]
            return f"{self.one(('jump', 'goto'))} {self.one([*chains, 'known'])}"
        return verdict

    def _rule_edit(self, kind: str, rule: str) -> Edit:
        """The rule somewhere in a chain, in the place of one or beside it, after what it needs."""
        chains = sorted(c for c, there in self._rules.items() if c != "layout" and there)
        chain = self.one(chains)
        handle, there = self.one(self._rules[chain])
        needs = [text for word, text in words.NEEDS.items() if word in rule.split() or f'"{word}"' in rule]
        new = self.one(("drop", "return", "accept", "tcp dport 80 drop", "counter"))
        before = [_for(text, T, new) for text in needs]
        how = self.one(("insert", "insert", "insert", "replace"))
        place = f"position {handle}" if how == "insert" else f"handle {handle}"
        script = "\n".join([*self._before, *before, f"{how} rule {T} {chain} {place} {rule}"])
        said = " ".join([rule, *self._before, *([there] if how == "replace" else [])])
        return Edit(kind, script, chain, said)

    # edits, by what they are about

    def _condition_edit(self, kind: str) -> Edit:
        group, condition = self._condition()
        more = f" {self._condition()[1]}" if self.chance.random() < 0.2 else ""
        return self._rule_edit(f"{kind}: {group}", f"{condition}{more} {self._verdict()}")

    def _set_edit(self, kind: str) -> Edit:
        kinds = [self.one([*words.KINDS]) for _ in range(self.one((1, 1, 2)))]
        lefts = " . ".join(self.one(words.KINDS[k][0]) for k in kinds)
        sign = self.one(("", "", "!= "))
        rule = f"{lefts} {sign}@{self._set(kinds)} {self._verdict()}"
        return self._rule_edit(f"{kind}: {'one field' if len(kinds) == 1 else 'concatenation'}", rule)

    def _map_edit(self, kind: str) -> Edit:
        kinds = [self.one([*words.KINDS]) for _ in range(self.one((1, 1, 1, 2)))]
        lefts = " . ".join(self.one(words.KINDS[k][0]) for k in kinds)
        verdicts = ("drop", "accept", "return", "continue", "goto in-web", "jump out-api")
        if self.chance.random() < 0.4:
            rule = f"{lefts} vmap @{self._set(kinds, verdicts)} {self.one(('', '', 'drop'))}"
            return self._rule_edit(f"{kind}: by name", rule)
        pairs = {
            " . ".join(self._value(k) for k in kinds): self.one(verdicts) for _ in range(self.chance.randrange(1, 4))
        }
        inside = ", ".join(f"{k} : {v}" for k, v in pairs.items())
        return self._rule_edit(f"{kind}: in the rule", f"{lefts} vmap {{ {inside} }} {self.one(('', '', 'drop'))}")

    def _statement_edit(self, kind: str) -> Edit:
        group = self.one([*words.STATEMENTS])
        condition = self._condition()[1] if self.chance.random() < 0.4 else ""
        verdict = self._verdict() if self.chance.random() < 0.5 else ""
        return self._rule_edit(f"{kind}: {group}", f"{condition} {self.one(words.STATEMENTS[group])} {verdict}")

    def _element_edit(self, kind: str) -> Edit:
        version, network = self.one((4, 6)), self.one(_NETWORKS)
        sets = [f"m{version}-{network}", *(f"{n}{version}" for n in ("all", "masq", "source", "pools")), "endpoints"]
        name = self.one([*sets, *_LEADS])
        key = self._key(name, version)
        gone = f"delete element {T} {name} {{ {key} }}\n" if self.chance.random() < 0.5 else ""
        to = ""
        if name in _LEADS:
            home = [f"goto {_LEADS[name]}-{i}" for i in _NETWORKS]
            to = f" : {self.one((*home, f'jump {_LEADS[name]}-web', 'accept', 'drop', 'return', 'continue'))}"
        script = f"{gone}add element {T} {name} {{ {key} {self.one(words.LIVE)}{to} }}"
        return Edit(f"{kind}: {name.rstrip('46').partition('-')[0]}", script, f"in-{network}", key)

    def _key(self, name: str, version: int) -> str:
        """What an element of a set of ours may be: those that it has, and some beside them."""
        address = self.one(self._values[f"ipv{version}_addr"])
        interface = self.one([n for n in self._values["ifname"] if "*" not in n])
        group = self.one(self._values["devgroup"])
        if name.startswith("source"):
            return f"{interface} . {address}"
        if name.startswith("pools"):
            return self.one((address, *words.BESIDE[version]))
        if name == "endpoints":
            return f"{interface} . {group}"
        return self.one((group, group, "*")) if name in _LEADS else address

    def _chain_edit(self, kind: str) -> Edit:
        if self.chance.random() < 0.15:
            return Edit(f"{kind}: the table's flag", f"add table {T} {{ flags dormant; }}")
        if self.chance.random() < 0.2:
            chain = self.one(("prerouting", "foreign", "forward", "strays", "input", "postrouting"))
            return Edit(f"{kind}: policy", f"chain {T} {chain} {{ policy drop; }}", chain)
        chain, body = self._base("inet")
        script = "\n".join([*self._before, f"table {T} {{", chain, body, "}", "}"])
        return Edit(f"{kind}: one more", script, "", body)

    def _base(self, family: str) -> tuple[str, str]:
        """A base chain of a family: its first line, and its rules."""
        hook = self.one(words.BASES[family])
        nat = family in ("ip", "ip6", "inet") and hook in words.NAT and self.chance.random() < 0.25
        device = " device up0" if hook in ("ingress", "egress") else ""
        priority, policy = self.one(words.PRIORITIES), self.one(("accept", "accept", "drop"))
        if nat:
            priority = abs(priority)
        kind = "nat" if nat else "route" if hook == "output" and self.chance.random() < 0.2 else "filter"
        head = f"chain extra {{ type {kind} hook {hook}{device} priority {priority}; policy {policy};"
        verdicts = ("drop", "accept", "return", "counter", "drop")
        lines = [f"{self._condition()[1]} {self.one(verdicts)}" for _ in range(self.one((0, 1, 1, 2)))]
        return head, "\n".join(lines)

    def _other_edit(self, kind: str) -> Edit:
        """A table of somebody else's."""
        family = self.one(("inet", "inet", "inet", "ip", "ip6", "netdev", "bridge", "arp"))
        head, body = self._base(family)
        group = "conditions"
        if self.chance.random() < 0.3:
            group = "statements"
            body = self.one(words.STATEMENTS[self.one([*words.STATEMENTS])])
        where = f"{family} other"
        needs = [_for(text, where, "drop") for word, text in words.NEEDS.items() if word in body.split()]
        before = [line.replace(T, where) for line in self._before]
        flags = "flags dormant;" if self.chance.random() < 0.05 else ""
        script = "\n".join([f"add table {where}", *before, *needs, f"table {where} {{", flags, head, body, "}", "}"])
        return Edit(f"{kind}: {family}, {group}", script, "", f"{body} {' '.join(before)}", is_others=True)


def _for(text: str, table: str, rule: str) -> str:
    return text.replace("{T}", table).replace("{NEW}", rule)
