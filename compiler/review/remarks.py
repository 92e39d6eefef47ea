"""The files of a workspace in, what a reviewer should know of how they say things out: what means less, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from calico_rkt.compiler.diagnostics import Diagnostic, warning
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, Action, NameRef, Net, Rule, Side

_Defined = Mapping[str, tuple[Net, ...]]
_WHOLE = 1 << 128
"""All addresses of a family; a prefix that is a bit longer has half as many."""
_EVERY = {4: "0.0.0.0/0", 6: "::/0"}


def remarks(files: Sequence[File]) -> Iterator[Diagnostic]:
    """Of each rule as it is written, whichever networks use it, and of the definitions."""
    defined = {d.name: d.values for f in files if f.definitions for d in f.definitions.nets}
    for file in files:
        for direction, rule in _rules(file):
            yield from _every_address(rule, defined)
            if direction == "ingress":
                yield from _everybody_else(rule)
        for promise in _promises(file):
            yield from _one_family(promise)
    yield from _unused(files)


def _rules(file: File) -> Iterator[tuple[str, Rule]]:
    for one in (file.override, file.settings.rules if file.settings else None):
        for direction in ("ingress", "egress"):
            for item in getattr(one, direction, None) or ():
                if isinstance(item, Rule):
                    yield direction, item


def _promises(file: File) -> Iterator[Expectation]:
    yield from file.override.tests if file.override else ()
    if file.guardrails:
        yield from (*file.guardrails.never, *file.guardrails.always, *file.guardrails.envelope)


def _one_family(promise: Expectation) -> Iterator[Diagnostic]:
    for net in (e.net for e in (promise.source, promise.destination) if e.net is not None and e.net.prefixlen == 0):
        message = f"{net} is every IPv{net.version} address: {promise.name!r} says nothing about IPv{10 - net.version}"
        hint = "outside: true, endpoints: true and any: true mean both families"
        yield warning("CR843", message, promise.span, hint=hint)


def _every_address(rule: Rule, defined: _Defined) -> Iterator[Diagnostic]:
    m = rule.match
    if not (m.source.nets or m.destination.nets):
        return
    sides = {"source": _resolved(m.source, defined), "destination": _resolved(m.destination, defined)}
    for name, found in sides.items():
        whole = {v for v in (4, 6) if _is_every(found, v)}
        if not whole or {n.version for n in found} != whole:
            continue  # every address of one family and some of the other say something
        said = " and ".join(_EVERY[v] for v in sorted(whole))
        elsewhere = {m.ip_version, {ICMP: 4, ICMPV6: 6}.get(m.protocol or 0)}
        elsewhere |= {n.version for other, ns in sides.items() if other != name for n in ns if n.prefixlen}
        if len(whole) == 2 or elsewhere & whole:
            message, hint = f"{said} in {name} constrains nothing", f"leave {name} nets out"
        else:
            (family,) = whole
            message = f"{said} in {name} is every IPv{family} address and no IPv{10 - family} one"
            hint = f"leave nets out for both families, or write ipVersion: {family}"
        yield warning("CR843", message, rule.span, hint=hint)


def _resolved(side: Side, defined: _Defined) -> tuple[Net, ...]:
    return tuple(n for v in side.nets for n in (defined.get(v.name, ()) if isinstance(v, NameRef) else (v,)))


def _is_every(found: Sequence[Net], version: int) -> bool:
    if sum(_WHOLE >> n.prefixlen for n in found if n.version == version) < _WHOLE:
        return False
    if version == 4:
        return any(n.prefixlen == 0 for n in collapse_addresses(n for n in found if isinstance(n, IPv4Network)))
    return any(n.prefixlen == 0 for n in collapse_addresses(n for n in found if isinstance(n, IPv6Network)))


def _everybody_else(rule: Rule) -> Iterator[Diagnostic]:
    m, source = rule.match, rule.match.source
    if rule.action is not Action.ALLOW or source.not_selector is None:
        return
    few = source.nets and not any(isinstance(n, IPv4Network | IPv6Network) and not n.prefixlen for n in source.nets)
    named = few or source.selector is not None or source.networks
    ported = m.destination.ports or m.destination.not_ports or m.icmp or m.not_icmp
    if not named and not ported and m.protocol in (None, *PORT_PROTOCOLS):
        what = "everything" if m.protocol is None else "all ports"
        message = f"notSelector alone lets in {what} from whoever it does not match, the outside included"
        yield warning("CR844", message, rule.span, hint="name ports, or who may come in")


def _unused(files: Sequence[File]) -> Iterator[Diagnostic]:
    """Definitions that no rule here names; nothing where a file can't be read in full, as it might."""
    if any(d.is_error for f in files for d in f.diagnostics):
        return
    sides = [s for f in files for _, r in _rules(f) for s in (r.match.source, r.match.destination)]
    used = {
        "nets": {v.name for s in sides for v in (*s.nets, *s.not_nets) if isinstance(v, NameRef)},
        "ports": {v.name for s in sides for v in (*s.ports, *s.not_ports) if isinstance(v, NameRef)},
    }
    for file in files:
        for group, names in used.items():
            for definition in getattr(file.definitions, group, ()):
                if definition.name not in names:
                    message = f"no rule here uses the {group} {definition.name}"
                    yield warning("CR847", message, definition.span, hint="take the definition out, or use it")
