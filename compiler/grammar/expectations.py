"""The YAML of `tests:` in, checked Expectations out: sets of flows with a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingType
from dataclasses import field
from ipaddress import ip_address

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.headers import check_ports, read_icmp
from calico_rkt.compiler.ir.model import (
    Action,
    Match,
    NameRef,
    Net,
    PortRange,
    Side,
)
from calico_rkt.compiler.text.fields import Field, Problems, did_you_mean, fields_of, items_of, text_of
from calico_rkt.compiler.text.nodes import Mapping, Node, Sequence
from calico_rkt.compiler.text.values import (
    parse_net,
    parse_network,
    parse_port,
    parse_protocol,
    parsed,
    value_of,
)
from calico_rkt.compiler.values import dataclass

WHAT_KEYS = ("protocol", "port", "icmp")
TEST_KEYS = ("name", "from", "to", *WHAT_KEYS, "except", "verdict")
END_WORDS = ("outside", "host", "endpoints", "any")
"""Ends that are said with `true`: no endpoint and no host; this host; every endpoint; all of these."""
END_KEYS = ("network", "ip", *END_WORDS)
ANYTHING = "any"
"""What protocol and port may say instead of being left out."""
VERDICTS = {"Allow": Action.ALLOW, "Deny": Action.DENY}


@dataclass(frozen=True, slots=True)
class ExpectedEnd:
    """One end of a test's flow: networks by name, the addresses of net, or one of END_WORDS.

    Both net and the word host, as no file says it: the host by that address.
    """

    networks: tuple[NameRef, ...] = ()
    net: Net | None = None
    word: str = ""
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return " or ".join(n.name for n in self.networks) or str(self.net or self.word)


ANYBODY = ExpectedEnd(word="any")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a reviewer expects: all packets of a set are allowed, or all are denied.

    The set is what one of matches matches between source and destination and none of exceptions does; a match
    speaks of protocol, destination ports and ICMP only. verdict is ALLOW or DENY.
    """

    name: str
    source: ExpectedEnd
    destination: ExpectedEnd
    verdict: Action
    matches: tuple[Match, ...] = (Match(),)
    exceptions: tuple[Match, ...] = ()
    because: str = ""
    span: Span | None = field(default=None, compare=False)

    def mentioned_networks(self) -> tuple[NameRef, ...]:
        return (*self.source.networks, *self.destination.networks)


def parse_tests(section: Field, problems: Problems) -> tuple[Expectation, ...]:
    """The tests in their order; one with an error is left out and the error reported."""
    return parse_expectations(section.value, "tests", TEST_KEYS, None, problems)


def parse_expectations(
    node: Node, what: str, keys: Collection[str], verdict: Action | None, problems: Problems
) -> tuple[Expectation, ...]:
    """A list of expectations that all have the verdict, or each its own where that is None."""
    out: list[Expectation] = []
    for item in items_of(node, what, problems):
        before = len(problems.found)
        one = _expectation(item, "a test" if verdict is None else f"an item of {what}", keys, verdict, problems)
        if one is None or len(problems.found) > before:
            continue
        if any(t.name == one.name for t in out):
            two = "two tests" if verdict is None else f"two items of {what}"
            problems.error("CR327", f"{two} are called {one.name!r}", item.span, "a name says which one failed")
        out.append(one)
    return tuple(out)


def _expectation(
    node: Node, what: str, keys: Collection[str], verdict: Action | None, problems: Problems
) -> Expectation | None:
    found = fields_of(node, keys, what, problems)
    if not found and not isinstance(node, Mapping):
        return None
    for key in ("name", "from", "to", "verdict") if verdict is None else ("name",):
        if key not in found:
            problems.error("CR304", f"{what} without {key}", node.span)
    name = text_of(found["name"].value, "name", problems) if "name" in found else None
    because = text_of(found["because"].value, "because", problems) if "because" in found else None
    ends = [_end(found[k], problems) if k in found else ANYBODY for k in ("from", "to")]
    if "verdict" in found:
        verdict = _verdict(found["verdict"], problems)
    matches = _matches(found, problems)
    exceptions = tuple(_exceptions(found["except"], problems)) if "except" in found else ()
    if name is None or ends[0] is None or ends[1] is None or verdict is None:
        return None
    if not name.text.strip():
        problems.error("CR327", "a name is empty", name.span)
    if not any(_may_be_network(e) for e in ends if e is not None):
        hint = "at least one end has to be able to be an endpoint: network: NAME, endpoints: true, any: true, or ip"
        problems.error("CR327", f"between {ends[0]} and {ends[1]} no network's policy decides", node.span, hint)
    return Expectation(
        name.text, ends[0], ends[1], verdict, matches, exceptions, because.text if because else "", name.span
    )


def _may_be_network(end: ExpectedEnd) -> bool:
    return end.word not in ("outside", "host")


def _end(field_: Field, problems: Problems) -> ExpectedEnd | None:
    what = field_.key.text
    found = fields_of(field_.value, END_KEYS, what, problems)
    if len(found) != 1:
        hint = "network: NAME, ip: ADDRESS, or one of " + ", ".join(f"{w}: true" for w in END_WORDS)
        problems.error("CR327", f"{what} must say exactly one end", field_.key.span, hint)
        return None
    ((key, entry),) = found.items()
    if key == "network":
        return _networks(entry, problems)
    text = text_of(entry.value, key, problems)
    if text is None:
        return None
    if key == "ip":
        net = parsed(text, parse_addresses, problems)
        return ExpectedEnd(net=net, span=text.span) if net is not None else None
    if text.text != "true":
        problems.error("CR327", f"{key} takes only true, not {text.text!r}", text.span)
        return None
    return ExpectedEnd(word=key, span=text.span)


def _networks(entry: Field, problems: Problems) -> ExpectedEnd | None:
    """One network's name, or a list of them: any of these."""
    listed = isinstance(entry.value, Sequence)
    nodes = items_of(entry.value, "network", problems) if listed else (entry.value,)
    names: list[NameRef] = []
    for node in nodes:
        text = text_of(node, "network", problems)
        name = parsed(text, parse_network, problems) if text else None
        if text is None or name is None:
            return None
        names.append(NameRef(name, text.span))
    if not names:
        problems.error("CR327", "network is an empty list: nobody", entry.key.span)
        return None
    return ExpectedEnd(networks=tuple(names), span=entry.value.span)


def parse_addresses(text: str) -> Net:
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
    if text.text not in VERDICTS:
        problems.error("CR305", f"no verdict {text.text!r}", text.span, did_you_mean(text.text, VERDICTS))
    return VERDICTS.get(text.text)


def _exceptions(entry: Field, problems: Problems) -> Iterable[Match]:
    for item in items_of(entry.value, "except", problems):
        found = fields_of(item, WHAT_KEYS, "an item of except", problems)
        if isinstance(item, Mapping) and not item.entries:
            hint = "such as {protocol: TCP, port: 443}"
            problems.error("CR327", "an item of except says nothing, so it would except everything", item.span, hint)
        elif found:
            yield from _matches(found, problems)


def _matches(found: MappingType[str, Field], problems: Problems) -> tuple[Match, ...]:
    """What protocol, port and icmp say, as matches; anything where they are left out."""
    before = len(problems.found)
    protocol = value_of(found.get("protocol"), _protocol, problems)
    failed = len(problems.found) > before
    ports = _ports(found["port"], problems) if "port" in found else ()
    if ports and not failed:
        check_ports(found["port"], protocol, "item", problems)
    icmp = read_icmp(found["icmp"], protocol, problems) if "icmp" in found else None
    return (Match(protocol=protocol, icmp=icmp, destination=Side(ports=ports)),)


def _protocol(text: str) -> int | None:
    return None if text == ANYTHING else parse_protocol(text)


def _ports(entry: Field, problems: Problems) -> tuple[PortRange, ...]:
    """One port, a range, or a list of these; none for `any`."""
    listed = isinstance(entry.value, Sequence)
    nodes = items_of(entry.value, "port", problems) if listed else (entry.value,)
    if listed and not nodes:
        problems.error("CR327", "port is an empty list: no packet", entry.key.span, "leave it out for every port")
    texts = [text for node in nodes if (text := text_of(node, "port", problems)) is not None]
    if not listed and any(text.text == ANYTHING for text in texts):
        return ()
    return tuple(port for text in texts if (port := parsed(text, parse_port, problems)) is not None)
