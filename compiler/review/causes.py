"""Two revisions of a workspace in, the lines whose change made a rule, an address or a host's answer change, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import collapse_addresses
from typing import Any

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.definitions import Definition
from calico_rkt.compiler.grammar.overrides import File, Override
from calico_rkt.compiler.grammar.settings import Settings
from calico_rkt.compiler.ir.model import NameRef, Net, PortRange, Rule
from calico_rkt.compiler.review.flows import Addresses, Flow
from calico_rkt.compiler.review.snapshot import World


@dataclass(frozen=True, slots=True)
class Cause:
    """A line that changed: what it says, where, and the rules that say something else because of it, by their lines.

    gone: the line stands in the old revision only. rules is empty where the line is the rule's own.
    """

    what: str
    span: Span | None = None
    gone: bool = False
    rules: tuple[Span, ...] = ()

    @property
    def key(self) -> tuple[str, Span | None, bool]:
        """What two causes that differ in their rules only have in common."""
        return self.what, self.span, self.gone


class Causes:
    """What made the difference between two worlds."""

    def __init__(self, old: World, new: World) -> None:
        self.worlds = (old, new)
        self._sides = (_Side(old), _Side(new))

    def of_rule(self, rule: Rule, network: str, flow: Flow, *, new: bool) -> Iterator[Cause]:
        """Why a rule decides a flow in one revision and not in the other; network is whose list it is in."""
        mine, other = (self._sides[new], self._sides[not new])
        if rule.span is None:
            return
        written = mine.rules.get(rule.span)
        if written is None:
            yield self._default(network, rule.span)
            return
        # A name that only one of them defines is used by a rule that is new, or gone, itself.
        shared = mine.definitions.keys() & other.definitions.keys()
        names = [n for n in _names(written) if n in shared and mine.values(n) != other.values(n)]
        for name in [n for n in names if not _all_the_same(written, n, mine, other, flow)] or names:
            yield Cause(f"the definition {name[1]}", self._sides[1].definitions[name].span, rules=(rule.span,))
        if not names or written not in other.written:
            yield Cause("a rule", rule.span, not new)

    def of_addresses(self, network: str) -> Cause:
        """Why a network has other addresses."""
        confs = [w.confs.get(network) for w in self.worlds]
        spans = [c.ipam.span if c is not None else None for c in confs]
        return Cause(f"the conf of {network}", spans[1] or spans[0], spans[1] is None)

    def of_store(self, network: str) -> Cause:
        """Why others' rules by name are about a network that they were not about, or are no more."""
        return replace(self.of_addresses(network), what=f"the datastore of {network}")

    def of_host(self, network: str) -> Cause:
        """Why the host decides otherwise about what a network sends it."""
        overrides = [s.overrides.get(network) for s in self._sides]
        spans = [(o.to_host_span or o.span) if o is not None else None for o in overrides]
        stores = {w.confs[network].datastore_type for w in self.worlds if network in w.confs}
        if len(stores) > 1 or not any(spans):
            return self.of_store(network)
        return Cause(f"endpoint_to_host of {network}", spans[1] or spans[0], spans[1] is None)

    def home(self, network: str) -> Span | None:
        """Where the new revision speaks of a network: its override, or its conf."""
        override = self._sides[1].overrides.get(network)
        conf = self.worlds[1].confs.get(network)
        return (override.span if override else None) or (conf.ipam.span if conf is not None else None)

    def _default(self, network: str, span: Span) -> Cause:
        """A rule of a built-in default set is there, or not, because of what chooses the set."""
        old, new = self._sides
        if old.settings != new.settings and (old.settings or new.settings):
            chosen = new.settings or old.settings
            return Cause("settings: default", chosen.span if chosen else None, new.settings is None, (span,))
        overrides = [s.overrides.get(network) for s in (old, new)]
        at = [o.span if o is not None else None for o in overrides]
        if any(at):
            return Cause(f"the override of {network}", at[1] or at[0], at[1] is None, (span,))
        return Cause(f"the conf of {network}", self.of_addresses(network).span, network not in self.worlds[1].confs)


class _Side:
    """One revision: its rules as they are written, before names are resolved."""

    def __init__(self, world: World) -> None:
        self.world = world

    @cached_property
    def rules(self) -> Mapping[Span, Rule]:
        """By their places."""
        return {r.span: r for f in self.world.files for r in _written(f) if r.span is not None}

    @cached_property
    def written(self) -> frozenset[Rule]:
        return frozenset(self.rules.values())

    @cached_property
    def definitions(self) -> Mapping[tuple[str, str], Definition[Any]]:
        """By their group and name."""
        out: dict[tuple[str, str], Definition[Any]] = {}
        for given in (f.definitions for f in self.world.files if f.definitions):
            out.update({("nets", d.name): d for d in given.nets})
            out.update({("ports", d.name): d for d in given.ports})
        return out

    def values(self, name: tuple[str, str]) -> tuple[object, ...]:
        return self.definitions[name].values

    @cached_property
    def overrides(self) -> Mapping[str, Override]:
        """By the networks' names."""
        by_id = {f.override.network_id: f.override for f in self.world.files if f.override}
        return {name: by_id[n.id] for name, n in self.world.networks.items() if n.id in by_id}

    @cached_property
    def settings(self) -> Settings | None:
        return next((f.settings for f in self.world.files if f.settings), None)


def _written(file: File) -> Iterator[Rule]:
    if file.override:
        for items in (file.override.ingress, file.override.egress):
            yield from (i for i in items or () if isinstance(i, Rule))
    if file.settings and file.settings.rules:
        yield from (*file.settings.rules.ingress, *file.settings.rules.egress)


def _names(rule: Rule) -> Iterator[tuple[str, str]]:
    """The definitions that a rule uses, each as its group and its name."""
    for side in (rule.match.source, rule.match.destination):
        for group, values in (("nets", (*side.nets, *side.not_nets)), ("ports", (*side.ports, *side.not_ports))):
            yield from ((group, v.name) for v in values if isinstance(v, NameRef))


def _all_the_same(rule: Rule, name: tuple[str, str], mine: _Side, other: _Side, flow: Flow) -> bool:
    """Whether the rule would match the flow also if one definition had its value of the other revision."""

    def values(items: Iterable[Any]) -> list[Any]:
        out: list[Any] = []
        for item in items:
            key = (name[0], item.name) if isinstance(item, NameRef) else None
            out += [item] if key is None else (other if key == name else mine).values(key)
        return out

    group, called = name
    used = NameRef(called)
    m = rule.match
    for side, addresses, numbers in (
        (m.source, flow.source, flow.source_ports),
        (m.destination, flow.destination, flow.ports),
    ):
        if used in (side.not_nets if group == "nets" else side.not_ports):
            return False
        if group == "nets" and used in side.nets and not _within(addresses, values(side.nets)):
            return False
        if group == "ports" and used in side.ports and not _among(numbers, values(side.ports)):
            return False
    return True


def _within(addresses: Addresses | None, nets: Sequence[Net]) -> bool:
    """Whether all the addresses lie in the nets, as far as their words tell."""
    wide = [n for family in (4, 6) for n in collapse_addresses(n for n in nets if n.version == family)]  # type: ignore[type-var]
    said = addresses.nets if addresses is not None else ()
    return bool(said) and all(any(a.version == n.version and a.subnet_of(n) for n in wide) for a in said)  # type: ignore[arg-type]


def _among(numbers: Sequence[tuple[int, int]] | None, ports: Sequence[PortRange]) -> bool:
    known = {p for port in ports for p in range(port.lo, port.hi + 1)}
    return bool(numbers) and all(p in known for lo, hi in numbers or () for p in range(lo, hi + 1))


def together(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Each line once, with all rules that use it; the new revision's lines first."""
    found: dict[object, Cause] = {}
    for c in causes:
        first = found.get(c.key)
        rules = c.rules if first is None else (*first.rules, *c.rules)
        found[c.key] = replace(c, rules=tuple(dict.fromkeys(rules)))
    return tuple(sorted(found.values(), key=lambda c: (c.span is None, c.gone)))
