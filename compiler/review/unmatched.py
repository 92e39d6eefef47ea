"""A world in, the rules that no packet between anybody there matches out: addresses and labels that nobody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from calico_rkt.compiler.diagnostics import Diagnostic, Span, warning
from calico_rkt.compiler.ir.model import ANY_SIDE, Action, Match, Net, Rule, Side
from calico_rkt.compiler.ir.resolved import nets
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.space import Space, meet
from calico_rkt.compiler.review.lint_all import cut_short
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.snapshot import World

_ANY_ACTION = Action.ALLOW
_ENDS = {"ingress": ("destination", "source"), "egress": ("source", "destination")}
"""In each direction the end that is the network's own, and the other one."""
_Why = tuple[str, str]
"""A code, and why in words."""


def unmatched(world: World, files: frozenset[str], told: frozenset[Span]) -> Iterator[Diagnostic]:
    """A finding for each line of these files that matches nothing in any network that uses it; not for those told of.

    A rule that becomes one for each family is one line: it is idle only as a whole.
    """
    uses: dict[Span, list[tuple[str, _Why | None]]] = {}
    anybody = _Anybody(world)
    for name, network in world.networks.items():
        look = _Look(world, name, anybody)
        for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
            for span, group in groupby(rules, key=lambda r: r.span):
                if span is not None and span.path in files and span not in told:
                    uses.setdefault(span, []).append((name, look.why_nothing(direction, list(group))))
    for span, found in uses.items():
        whys = [why for _, why in found if why is not None]
        if len(whys) == len(found):
            words = list(dict.fromkeys(words for _, words in whys))
            names = "" if len(found) == 1 else f" (used by {cut_short(repr(n) for n, _ in found)})"
            yield warning(whys[0][0], f"this rule matches nothing: {cut_short(words)}{names}", span, hint="take it out")


class _Anybody:
    """A quick look before the exact one: which nets hold an address that is no network's: the outside has it."""

    def __init__(self, world: World) -> None:
        outside = world.party(Kind.OUTSIDE, Kind.OUTSIDE.value)
        self._owned = nets(outside.not_nets) if outside else ()
        self._known: dict[Net, bool] = {}
        self.members = {
            Side(selector=has(p.id)): {n.version for n in p.nets} or {4, 6}
            for p in world.parties
            if p.kind is Kind.NETWORK
        }
        """What a rule says of the endpoints of one network, and the families of their addresses."""

    def has(self, net: Net) -> bool:
        """True is sure: the networks' addresses there are too few to be all of it."""
        if net not in self._known:
            taken = sum(o.num_addresses for o in self._owned if o.version == net.version and o.overlaps(net))
            self._known[net] = taken < net.num_addresses
        return self._known[net]


class _Look:
    """One network's rules against everybody who could be at their ends."""

    def __init__(self, world: World, name: str, anybody: _Anybody) -> None:
        self.world, self.anybody = world, anybody
        found = world.party(Kind.NETWORK, name)
        assert found is not None
        self.own = found
        self.families = {n.version for n in self.own.nets} or {4, 6}

    def why_nothing(self, direction: str, rules: Iterable[Rule]) -> _Why | None:
        """Why none of the rules can match; None where one can, or where nobody can tell."""
        found: list[_Why] = []
        for rule in rules:
            try:
                why = self._why(direction, rule.match)
            except UndecidedError:
                return None
            if why is None:
                return None
            found.append(why)
        return found[0]

    def _why(self, direction: str, m: Match) -> _Why | None:
        near, far = _ENDS[direction]
        if m.ip_version is not None and m.ip_version not in self.families:
            return "CR846", f"no endpoint of {self.own.name!r} has an IPv{m.ip_version} address"
        asked = Match(ip_version=m.ip_version, source=_who(m.source), destination=_who(m.destination))
        if getattr(asked, near) != ANY_SIDE and not self._meets(_with(asked, far, ANY_SIDE), near, None):
            return "CR845", f"no endpoint of {self.own.name!r} can be its {near}"
        if getattr(asked, near) == ANY_SIDE and self._surely(getattr(asked, far), m.ip_version):
            return None
        if not any(self._meets(asked, near, p) for p in self._candidates(direction, getattr(asked, far))):
            return "CR845", f"nobody can be its {far}{self._elsewhere(getattr(asked, far))}"
        return None

    def _surely(self, far: Side, version: int | None) -> bool:
        """Whether the outside can be at the other end, or this network's own endpoints can, without a closer look."""
        if far == ANY_SIDE:
            return True
        if far in self.anybody.members:
            return not self._elsewhere(far) and bool(
                self.anybody.members[far] & self.families & ({version} if version else {4, 6})
            )
        return far == Side(nets=far.nets) and any(
            n.version in self.families and self.anybody.has(n) for n in nets(far.nets) if version in (None, n.version)
        )

    def _candidates(self, direction: str, far: Side) -> Iterator[Party]:
        """Who could be at the other end, the likeliest first."""
        wanted = nets(far.nets)
        kinds = (Kind.OUTSIDE, Kind.NETWORK, Kind.OTHERS) if far.selector is None else (Kind.NETWORK, Kind.OTHERS)
        if direction == "egress" and far.selector is None:
            kinds = (*kinds, Kind.HOST)  # it reaches its own containers always, whatever their ingress says
        for kind in kinds:
            for p in self.world.parties:
                unseen = far.selector is not None and self.world.apart(self.own, p)
                if p.kind is kind and not unseen and p.may_match(far, self.world.own) and _may_share(wanted, p.nets):
                    yield p

    def _elsewhere(self, far: Side) -> str:
        """Why no endpoint of the network that a side names is known to who enforces the rule; empty: they are."""
        found = next((p for p in self.world.parties if p.kind is Kind.NETWORK and far.selector == has(p.id)), None)
        if found is None or not self.world.apart(self.own, found):
            return ""
        store = self.world.confs[found.name].datastore_type
        return f" ({found.name!r} is in another datastore, {store}, so only its nets are known here)"

    def _meets(self, m: Match, near: str, other: Party | None) -> bool:
        """Whether a packet of the match goes between an own endpoint, at the near end, and the other party."""
        ids = self.world.own
        far = next(end for end in ("source", "destination") if end != near)
        there = ANY_SIDE
        if other is not None:
            there = other.side(ids)
            wanted = nets(getattr(m, far).nets)
            # Of a thousand networks' addresses only those matter that the rule could mean.
            there = replace(there, not_nets=tuple(n for n in nets(there.not_nets) if _may_share(wanted, (n,))))
        frame = _with(_with(Match(), near, self.own.side(ids)), far, there)
        space = Space([Rule(_ANY_ACTION, m), Rule(_ANY_ACTION, frame)], self.world.known)
        framed = space.boxes(Rule(_ANY_ACTION, frame))
        mine = space.boxes(Rule(_ANY_ACTION, m))
        return any((b := meet(x, y)) is not None and not space.nobodys(b) for x in mine for y in framed)


def _with(m: Match, end: str, side: Side) -> Match:
    return replace(m, source=side) if end == "source" else replace(m, destination=side)


def _who(side: Side) -> Side:
    return replace(side, ports=(), not_ports=()) if side.ports or side.not_ports else side


def _may_share(wanted: Iterable[Net], there: Iterable[Net]) -> bool:
    """Whether two lists of networks, either empty for any, could have an address in common."""
    wanted, there = tuple(wanted), tuple(there)
    return not wanted or not there or any(a.version == b.version and a.overlaps(b) for a in wanted for b in there)
