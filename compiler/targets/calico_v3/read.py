"""A Calico v3 Profile's YAML in, what Calico makes of it out; knows nothing of the writer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network
from itertools import chain

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.ir.canonical import (
    ANNOTATION_DIGEST,
    ANNOTATION_FORM,
    ANNOTATION_LOG_LIMIT,
    ANNOTATION_NETWORK,
    ANNOTATION_TO_HOST,
    LINES,
    digest,
)
from calico_rkt.compiler.ir.model import (
    MOST_LOG_LINES,
    PROTOCOL_NAMES,
    USUAL_LOG_LIMIT,
    Action,
    Icmp,
    LogLimit,
    Match,
    Net,
    Network,
    PortRange,
    Rule,
    Side,
    ToHost,
)
from calico_rkt.compiler.ir.resolved import versions
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.ir.selector_parser import SelectorError, parse_selector
from calico_rkt.compiler.targets.readback import ReadBack, unreadable
from calico_rkt.compiler.targets.yaml_values import Value, load_yaml

_PROTOCOLS = {name: number for number, name in PROTOCOL_NAMES.items()}
_MOST_NETS, _MOST_PORTS, _MOST_RULES = 256, 50, 1024
_SERVER = {"uid", "creationTimestamp", "resourceVersion", "labels"}  # what a datastore adds to metadata


def read_calico_v3(text: str) -> ReadBack:
    """The profile of the text. Raises CompileError (CR510) for whatever Calico would refuse, or read otherwise.

    ipVersion missing beside addresses is theirs: Calico filters a rule's CIDRs by family and skips the rule in
    the other one (felix/rules/policy.go).
    """
    top = _object(load_yaml(text), "the document", {"apiVersion", "kind", "metadata", "spec"})
    if top.get("apiVersion") != "projectcalico.org/v3" or top.get("kind") != "Profile":
        raise _bad("apiVersion and kind are not those of a projectcalico.org/v3 Profile")
    metadata = _object(top.get("metadata"), "metadata", {"name", "annotations", *_SERVER})
    annotations = _texts(metadata.get("annotations"), "annotations")
    spec = _object(top.get("spec"), "spec", {"ingress", "egress", "labelsToApply"})
    labels = _texts(spec.get("labelsToApply"), "labelsToApply")
    to_host = annotations.get(ANNOTATION_TO_HOST, ToHost.DROP.value)
    if to_host not in {known.value for known in ToHost}:
        raise _bad(f"{ANNOTATION_TO_HOST} is {to_host!r}")
    found = re.fullmatch(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", annotations.get(ANNOTATION_LOG_LIMIT, "10/50"))
    limit = LogLimit(*map(int, found.groups())) if found else None
    if limit is None or max(limit.rate, limit.burst) > MOST_LOG_LINES:
        raise _bad(f"{ANNOTATION_LOG_LIMIT} is {annotations[ANNOTATION_LOG_LIMIT]!r}")
    form = annotations.get(ANNOTATION_FORM, str(LINES))
    if not re.fullmatch(r"[1-9][0-9]{0,4}", form):
        raise _bad(f"{ANNOTATION_FORM} is {form!r}")
    name = _text(metadata.get("name"), "metadata.name")
    return ReadBack(
        id=name,
        ingress=_rules(spec.get("ingress"), "ingress"),
        egress=_rules(spec.get("egress"), "egress"),
        labels=tuple(f"{key}={value}" if value else key for key, value in sorted(labels.items())),
        name=annotations.get(ANNOTATION_NETWORK, name),
        digest=annotations.get(ANNOTATION_DIGEST, ""),
        endpoint_to_host=ToHost(to_host),
        log_limit=limit,
        form=int(form),
    )


def _as_written(back: ReadBack) -> tuple[Network, str]:
    """What the text was written from, and its digest; where that fits neither form, the rules as they stand."""
    network = _network(back)
    own = digest(network)
    if back.digest and own != back.digest:
        joined = replace(network, ingress=_joined(network.ingress), egress=_joined(network.egress))
        if digest(joined) == back.digest:
            return joined, back.digest
    return network, own


def verify_calico_v3(text: str) -> Network:
    """The Network of a published text. Raises CompileError when it was edited: the digest does not fit the rules."""
    back = read_calico_v3(text)
    if back.labels != (back.id,):
        raise CompileError([error("CR511", f"the profile {back.id} does not apply the one label {back.id}")])
    if not back.digest:
        raise CompileError([error("CR512", f"the profile {back.id} has no digest: it is not one of ours")])
    network, own = _as_written(back)
    if own != back.digest:
        raise CompileError(
            [
                error(
                    "CR513",
                    f"the profile {back.id} was edited: its rules have {own}, its annotation {back.digest}",
                    hint="apply the reviewed files again, or take the change over into them",
                )
            ]
        )
    return network


def _network(back: ReadBack) -> Network:
    to_host, limit = back.endpoint_to_host or ToHost.DROP, back.log_limit or USUAL_LOG_LIMIT
    return Network(back.name, back.id, back.ingress, back.egress, to_host, limit, back.form)


def _rules(value: Value, where: str) -> tuple[Rule, ...]:
    items = _list(value, where)
    if len(items) > _MOST_RULES:
        raise _bad(f"{where} has {len(items)} rules, Calico takes {_MOST_RULES}")
    return tuple(_rule(item, f"{where} rule {number}") for number, item in enumerate(items, 1))


def _rule(value: Value, where: str) -> Rule:
    known = {"action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP", "source", "destination"}
    given = _object(value, where, known)
    action = given.get("action")
    if not isinstance(action, str) or action not in {known.value for known in Action}:
        raise _bad(f"{where}: action {action!r}")
    ip_version = given.get("ipVersion")
    if ip_version is not None and (not isinstance(ip_version, int) or ip_version not in (4, 6)):
        raise _bad(f"{where}: ipVersion {ip_version!r}")
    match = Match(
        ip_version=ip_version,
        protocol=_protocol(given.get("protocol"), where),
        not_protocol=_protocol(given.get("notProtocol"), where),
        icmp=_icmp(given.get("icmp"), where),
        not_icmp=_icmp(given.get("notICMP"), where),
        source=_side(given.get("source"), f"{where} source"),
        destination=_side(given.get("destination"), f"{where} destination"),
    )
    sides = (match.source, match.destination)
    if any(side.ports or side.not_ports for side in sides) and match.protocol not in (6, 17, 132):
        raise _bad(f"{where}: ports without TCP, UDP or SCTP")
    found = versions(*sides)
    if len(found) > 1 or (ip_version and found - {ip_version}):
        raise _bad(f"{where}: addresses of both families")
    if (match.icmp or match.not_icmp) and match.protocol not in (1, 58):
        raise _bad(f"{where}: icmp without protocol ICMP or ICMPv6")
    for protocol in (match.protocol, match.not_protocol):
        if (protocol, ip_version) in ((1, 6), (58, 4)):
            raise _bad(f"{where}: ICMP of the other family")
    if ip_version is None:
        match = replace(match, ip_version=next(iter(found), None))
    return Rule(Action(action), match)


def _side(value: Value, where: str) -> Side:
    given = _object(value, where, {"nets", "notNets", "selector", "notSelector", "ports", "notPorts"})
    not_nets = _nets(given.get("notNets"), where)
    if any(net.prefixlen == 0 for net in not_nets):
        raise _bad(f"{where}: notNets excludes every address")
    return Side(
        nets=_nets(given.get("nets"), where),
        not_nets=not_nets,
        ports=_ports(given.get("ports"), where),
        not_ports=_ports(given.get("notPorts"), where),
        selector=_selector(given.get("selector"), where),
        not_selector=_selector(given.get("notSelector"), where),
    )


def _nets(value: Value, where: str) -> tuple[Net, ...]:
    items = _list(value, where)
    if len(items) > _MOST_NETS:
        raise _bad(f"{where}: more than {_MOST_NETS} nets")
    return tuple(_net(_text(item, where), where) for item in items)


def _net(text: str, where: str) -> Net:
    if "/" not in text:
        raise _bad(f"{where}: {text} has no prefix length, which Calico refuses")
    try:
        net = ip_network(text)
    except ValueError as e:
        raise _bad(f"{where}: {e}") from e
    if net.version == 6 and net.prefixlen >= 96 and net.network_address.ipv4_mapped is not None:
        raise _bad(f"{where}: {text} is an IPv4 network to Calico, which this program never writes so")
    return net


def _ports(value: Value, where: str) -> tuple[PortRange, ...]:
    items = _list(value, where)
    if len(items) > _MOST_PORTS:
        raise _bad(f"{where}: more than {_MOST_PORTS} ports")
    return tuple(_port(item, where) for item in items)


def _port(value: Value, where: str) -> PortRange:
    lo, colon, hi = str(value).partition(":")
    if isinstance(value, bool) or not lo.isdecimal() or not (hi if colon else lo).isdecimal():
        raise _bad(f"{where}: port {value!r}")
    found = PortRange(int(lo), int(hi if colon else lo))
    if not 1 <= found.lo <= found.hi <= 65535:
        raise _bad(f"{where}: port {value!r}")
    return found


def _selector(value: Value, where: str) -> Selector | None:
    """An empty selector in a rule is no constraint, not all()."""
    if value is None or value == "":
        return None
    try:
        return parse_selector(_text(value, where))
    except SelectorError as e:
        raise _bad(f"{where}: {e}") from e


def _protocol(value: Value, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value in _PROTOCOLS:
        return _PROTOCOLS[value]
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(str(value)) <= 255:
        raise _bad(f"{where}: protocol {value!r}")
    return int(str(value))


def _icmp(value: Value, where: str) -> Icmp | None:
    if value is None:
        return None
    given = _object(value, where, {"type", "code"})
    kind, code = given.get("type"), given.get("code")
    if not isinstance(kind, int) or isinstance(kind, bool) or not 0 <= kind <= 254:
        raise _bad(f"{where}: ICMP type {kind!r}")
    if code is not None and (not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 255):
        raise _bad(f"{where}: ICMP code {code!r}")
    return Icmp(kind, code)


def _joined(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules whose long lists stand split over neighbours, whole again: innermost field first."""
    found = list(rules)
    for end, field, most in (
        ("destination", "ports", _MOST_PORTS),
        ("source", "ports", _MOST_PORTS),
        ("destination", "nets", _MOST_NETS),
        ("source", "nets", _MOST_NETS),
    ):
        runs: list[tuple[Rule, list[tuple[object, ...]]]] = []
        for rule in found:
            values = getattr(getattr(rule.match, end), field)
            rest = _with(rule, end, field, ())
            last, parts = runs[-1] if runs else (None, [()])
            if values and parts[-1] and not len(parts[-1]) % most and rest == last:
                parts.append(values)
            else:
                runs.append((rest, [values]))
        found = [_with(rest, end, field, tuple(chain.from_iterable(parts))) for rest, parts in runs]
    return tuple(found)


def _with(rule: Rule, end: str, field: str, values: tuple[object, ...]) -> Rule:
    side = replace(getattr(rule.match, end), **{field: values})
    return replace(rule, match=replace(rule.match, **{end: side}))


def _object(value: Value, where: str, known: set[str]) -> dict[str, Value]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad(f"{where} is no mapping")
    if unknown := sorted(set(value) - known):
        raise _bad(f"{where}: unknown key {unknown[0]}")
    return value


def _texts(value: Value, where: str) -> dict[str, str]:
    given = _object(value, where, set(value) if isinstance(value, dict) else set())
    return {key: _text(item, where) for key, item in given.items()}


def _text(value: Value, where: str) -> str:
    if not isinstance(value, str):
        raise _bad(f"{where}: {value!r} is no text")
    return value


def _list(value: Value, where: str) -> list[Value]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _bad(f"{where} is no list")
    return value


def _bad(message: str) -> CompileError:
    return unreadable("calico-v3", message)
