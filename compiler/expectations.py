"""The YAML of an override's `tests:` in, checked Expectations out; nothing here runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.fields import Field, Problems, did_you_mean, fields_of, items_of, text_of
from calico_rkt.compiler.ir import PORT_PROTOCOLS, Action, Net, PortRange
from calico_rkt.compiler.source import Node
from calico_rkt.compiler.values import BadValueError, parse_net, parse_network, parse_port, parse_protocol

_KEYS = ("name", "from", "to", "protocol", "port", "verdict")
_ENDS = ("network", "ip", "outside", "host")
_VERDICTS = {"Allow": Action.ALLOW, "Deny": Action.DENY}


@dataclass(frozen=True, slots=True)
class End:
    """One end of a test's flow: exactly one of a network's name, addresses, the outside or the host."""

    network: str | None = None
    net: Net | None = None
    outside: bool = False
    host: bool = False
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a reviewer expects: all packets from source to destination are allowed, or all are denied.

    protocol None is every protocol, port None every port; verdict is ALLOW or DENY.
    """

    name: str
    source: End
    destination: End
    verdict: Action
    protocol: int | None = None
    port: PortRange | None = None
    span: Span | None = field(default=None, compare=False)


def parse_tests(section: Field, problems: Problems) -> tuple[Expectation, ...]:
    """The tests in their order; one with an error is left out and the error reported."""
    out: list[Expectation] = []
    for item in items_of(section.value, "tests", problems):
        before = len(problems.found)
        test = _test(item, problems)
        if test is None or len(problems.found) > before:
            continue
        if any(t.name == test.name for t in out):
            problems.error("CR327", f"two tests are called {test.name!r}", item.span, "a name says which one failed")
        out.append(test)
    return tuple(out)


def _test(node: Node, problems: Problems) -> Expectation | None:
    found = fields_of(node, _KEYS, "a test", problems)
    if not found:
        return None
    for key in ("name", "from", "to", "verdict"):
        if key not in found:
            problems.error("CR304", f"a test without {key}", node.span)
    name = text_of(found["name"].value, "name", problems) if "name" in found else None
    source, destination = (_end(found[k], problems) if k in found else None for k in ("from", "to"))
    verdict = _verdict(found["verdict"], problems) if "verdict" in found else None
    protocol, port = _protocol_and_port(found, problems)
    if name is None or source is None or destination is None or verdict is None:
        return None
    if not name.text.strip():
        problems.error("CR327", "a test's name is empty", name.span)
    return Expectation(name.text, source, destination, verdict, protocol, port, node.span)


def _end(field_: Field, problems: Problems) -> End | None:
    what = field_.key.text
    found = fields_of(field_.value, _ENDS, what, problems)
    if len(found) != 1:
        hint = "network: NAME, ip: ADDRESS, outside: true or host: true"
        problems.error("CR327", f"{what} must say exactly one end", field_.key.span, hint)
        return None
    ((key, entry),) = found.items()
    text = text_of(entry.value, key, problems)
    if text is None:
        return None
    if key in ("network", "ip"):
        try:
            if key == "network":
                return End(network=parse_network(text.text), span=text.span)
            return End(net=_addresses(text.text), span=text.span)
        except BadValueError as e:
            problems.error(e.code, e.message, text.span, e.hint)
            return None
    if text.text != "true":
        problems.error("CR327", f"{key} takes only true, not {text.text!r}", text.span)
        return None
    return End(outside=key == "outside", host=key == "host", span=text.span)


def _addresses(text: str) -> Net:
    """One address, or a CIDR for all of its addresses."""
    try:
        address = ip_address(text)
    except ValueError:
        return parse_net(text)
    return parse_net(f"{address}/{address.max_prefixlen}")


def _verdict(entry: Field, problems: Problems) -> Action | None:
    text = text_of(entry.value, "verdict", problems)
    if text is None:
        return None
    if text.text not in _VERDICTS:
        problems.error("CR305", f"no verdict {text.text!r}", text.span, did_you_mean(text.text, _VERDICTS))
    return _VERDICTS.get(text.text)


def _protocol_and_port(found: dict[str, Field], problems: Problems) -> tuple[int | None, PortRange | None]:
    protocol = port = None
    for key in ("protocol", "port"):
        text = text_of(found[key].value, key, problems) if key in found else None
        if text is None:
            continue
        try:
            if key == "protocol":
                protocol = parse_protocol(text.text)
            else:
                port = parse_port(text.text)
        except BadValueError as e:
            problems.error(e.code, e.message, text.span, e.hint)
            return protocol, port
    if port is not None and protocol not in PORT_PROTOCOLS:
        problems.error("CR312", "port where the protocol has none", found["port"].key.span, "TCP, UDP or SCTP")
    return protocol, port
