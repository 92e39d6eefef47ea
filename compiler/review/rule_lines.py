"""A compiled network in, one line a rule out that says what the rule lets through and which line it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.defaults import DefaultRules
from calico_rkt.compiler.grammar.overrides import Override
from calico_rkt.compiler.grammar.rules import Item, UseDefault
from calico_rkt.compiler.ir.canonical import MOST_RULES, port_object
from calico_rkt.compiler.ir.model import PROTOCOL_NAMES, Icmp, Network, Rule, Side
from calico_rkt.compiler.text.fields import Form

_FEW = 3
"""So many nets and ports of a merged rule are said; the profile has them all."""
_OF_FAMILY = {None: "", 4: " of IPv4", 6: " of IPv6"}
_IPS = {None: "", 4: "IPv4 ", 6: "IPv6 "}


def explain_maps(network: Network) -> str:
    """Where long lists are maps in nftables: each map, and each of its elements with the lines that it came from.

    Empty where all rules are lines.
    """
    from calico_rkt.compiler.targets.nftables.maps import elements, front, key, leads
    from calico_rkt.compiler.targets.nftables.parts import Map, Ports, Rest
    from calico_rkt.compiler.targets.nftables.write import planned

    lines: list[str] = []
    for direction, rules, chain in (("ingress", network.ingress, "in"), ("egress", network.egress, "out")):
        count, name = 0, f"{chain}-{network.id}"
        behind: list[tuple[str, Rule | Map]] = []
        for part in planned(rules):
            if isinstance(part, Rest):
                behind += ((f"{direction}, {name}/{count + 1},", found) for found in part.parts)
            elif isinstance(part, Ports):
                lines += ["", f"{direction} in nftables, by ports{_OF_FAMILY[part.version]}:"]
                lines += (f"  {lead}" for lead in leads(part, name, count + 1))
                for n, led in enumerate(part.chains, count + 1):
                    behind += ((f"{direction}, {name}/{n},", found) for found in led.parts)
                count += len(part.chains)
            else:
                behind.append((direction, part))
        for where, one in behind:
            if isinstance(one, Rule):
                if where != direction:
                    lines += ["", f"{where} in nftables: a line  <- {_place(one.span)}"]
                continue
            texts = [f"  {element}" for element in elements(one)]
            width = max(map(len, texts))
            lines += ["", f"{where} in nftables: {' '.join(filter(None, (front(one), key(one))))}".rstrip(": ")]
            lines += [f"{t:<{width}}  <- {_places(e.rules)}" for t, e in zip(texts, one.elements, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def explain_merged(network: Network) -> str:
    """Where a list is longer than Calico takes: each rule as it is written, with the lines that it says.

    Then each line that is left out, with those that decide its packets as it would. Empty where all rules are written
    one by one.
    """
    from calico_rkt.compiler.targets.calico_v3.form import merged

    lines = []
    for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
        if (found := merged(rules)) is None:
            continue
        head = f"{direction} in calico-v3: {len(rules):,} rules in {len(found.written):,}, since Calico takes"
        lines += ["", f"{head} {MOST_RULES:,}"]
        lines += _table([(describe(one.rule, _FEW), _places(one.of)) for one in found.written])
        if found.left_out:
            lines += ["", f"left out of {direction}, since it decides nothing, whatever labels an endpoint has:"]
            lines += _table([(describe(r.rule), f"{_place(r.rule.span)}; {_covered(r.by)}") for r in found.left_out])
    return "".join(f"{line}\n" for line in lines)


def _covered(rules: tuple[Rule, ...]) -> str:
    return f"covered by {_places(rules)}" if rules else "no packet can match it"


def explain(network: Network, override: Override | None, defaults: DefaultRules, *, felix: bool = False) -> str:
    """Which files and which of their meanings apply, then each rule with the `path:line` that it came from.

    Rules are those of the IR, one a family where addresses say one; a target may write one as several. felix: it is on
    a Calico cluster, where Felix has the last word on what goes to the host.
    """
    lines = [f"network {network.name}, id {network.id}", *_sources(override, defaults), ""]
    for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
        items = None if override is None else getattr(override, direction)
        lines += [f"{direction}: {_meaning(direction, override, items)}", *_numbered(rules), ""]
    said = override is not None and override.endpoint_to_host is not None
    place = override.to_host_span if override and override.to_host_span else None
    where = f"  <- {_place(place)}" if said and place else " (nothing says otherwise)"
    to_host = (
        "Felix's own setting (DefaultEndpointToHostAction)" if felix else f"{network.endpoint_to_host.value}{where}"
    )
    lines.append(f"endpoint_to_host: {to_host}")
    return "\n".join(lines) + "\n"


def _sources(override: Override | None, defaults: DefaultRules) -> Iterator[str]:
    if override is None:
        yield f"no override: the default rules alone ({defaults.name})"
    elif override.form is Form.V3:
        yield f"override: {_file(override)}, a plain Calico v3 Profile: what it leaves out is denied"
    else:
        yield f"override: {_file(override)}, in calico-rkt's form; default rules: {defaults.name}"


def _file(override: Override) -> str:
    return override.span.path if override.span else "given"


def _meaning(direction: str, override: Override | None, items: tuple[Item, ...] | None) -> str:
    if override is None or items is None:
        said = f"the override has no {direction}, so " if override else ""
        return f"{said}the default rules alone, then deny"
    if not items:
        return "deny all: the override has no rule here"
    marks = [i.span for i in items if isinstance(i, UseDefault)]
    return f"default rules stand at {_place(marks[0])}; then deny" if marks else "the override's rules, then deny"


def _numbered(rules: tuple[Rule, ...]) -> list[str]:
    return _table([(describe(rule), _place(rule.span)) for rule in rules])


def _table(found: list[tuple[str, str]]) -> list[str]:
    texts = [f"  {number:>3}  {words}" for number, (words, _) in enumerate(found, 1)]
    width = min(100, max(map(len, texts), default=0))
    return [f"{text:<{width}}  <- {place}" for text, (_, place) in zip(texts, found, strict=True)]


def _places(rules: Iterable[Rule]) -> str:
    """The lines of an element; `two.yaml:3, two.yaml:7` where it is of several rules."""
    return ", ".join(dict.fromkeys(_place(rule.span) for rule in rules))


def _place(span: Span | None) -> str:
    return f"{span.path}:{span.line}" if span else "nowhere"


def describe(rule: Rule, most: int | None = None) -> str:
    """A resolved rule in one line of words; most: so many nets and ports of a side are said, and how many more.

    >>> from calico_rkt.compiler.ir.model import Action, Match, PortRange
    >>> describe(Rule(Action.ALLOW, Match(protocol=6, destination=Side(ports=(PortRange(80, 81),)))))
    'Allow TCP to port 80:81'
    """
    m = rule.match
    words = [rule.action.value]
    what = _IPS[m.ip_version].strip()
    words += [what] if what else []
    if m.protocol is not None:
        words.append(_protocol(m.protocol))
    if m.not_protocol is not None:
        words.append(f"all protocols but {_protocol(m.not_protocol)}")
    words += [f"type {_icmp(m.icmp)}"] if m.icmp else []
    words += [f"not type {_icmp(m.not_icmp)}"] if m.not_icmp else []
    words += _side("from", m.source, most)
    words += _side("to", m.destination, most)
    return " ".join(words) if len(words) > 1 else f"{rule.action.value} everything"


def _protocol(number: int) -> str:
    return PROTOCOL_NAMES.get(number, f"protocol {number}")


def _icmp(icmp: Icmp) -> str:
    return str(icmp.type) if icmp.code is None else f"{icmp.type} code {icmp.code}"


def _some(values: Sequence[object], most: int | None) -> str:
    more = len(values) - (len(values) if most is None else most)
    said = ", ".join(map(str, values[:most]))
    return f"{said} and {more} more" if more > 0 else said


def _side(preposition: str, side: Side, most: int | None) -> list[str]:
    parts = []
    if side.selector is not None:
        parts.append(f"endpoints with {side.selector}")
    if side.not_selector is not None:
        every = str(side.not_selector) == "all()"
        parts.append("whoever is no endpoint" if every else f"whoever is no endpoint with {side.not_selector}")
    if side.nets:
        parts.append(f"{'in ' if parts else ''}{_some(side.nets, most)}")
    if side.not_nets:
        parts.append(f"{'' if parts else 'anything '}outside {_some(side.not_nets, most)}")
    for name, ports in (("port", side.ports), ("any port but", side.not_ports)):
        if ports:
            parts.append(f"{name} {_some([port_object(p) for p in ports if not hasattr(p, 'name')], most)}")
    return [f"{preposition} {' '.join(parts)}"] if parts else []
