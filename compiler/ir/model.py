"""The rule IR: what every source lowers to and every target is written from. Frozen, hashable values."""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Network, IPv6Network

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.values import dataclass, field

Net = IPv4Network | IPv6Network

TCP, UDP, ICMP, ICMPV6, SCTP, UDPLITE = 6, 17, 1, 58, 132, 136
PORT_PROTOCOLS = (TCP, UDP, SCTP)
"""Protocols that may carry ports in a rule (Calico v3 validation: TCP, UDP, SCTP)."""

PROTOCOL_NAMES = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPv6", SCTP: "SCTP", UDPLITE: "UDPLite"}
"""Calico v3's protocol names by number; every other protocol is written as its number."""


class Action(Enum):
    """What a matching rule does; Log never decides."""

    ALLOW = "Allow"
    DENY = "Deny"
    LOG = "Log"


class ToHost(Enum):
    """Felix's DefaultEndpointToHostAction: what happens to container-to-host traffic that egress allows."""

    DROP = "drop"
    RETURN = "return"
    ACCEPT = "accept"


FELIX_MODES = ("nftables", "iptables", "ebpf")
"""How Felix may enforce on a node of a cluster."""


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports lo to hi, both included; 1 to 65535 in Calico's v3 grammar."""

    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP type (0-254) and code (0-255); code None is any code."""

    type: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class NameRef:
    """A name of a definition, not yet resolved, with the place that used it."""

    name: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a packet as a rule sees it: all given fields must hold, members of a field are alternatives.

    An empty tuple or None is no constraint. networks, and a NameRef in nets or ports, stand only before
    the resolve pass; afterwards networks have become a selector.
    """

    nets: tuple[Net | NameRef, ...] = ()
    not_nets: tuple[Net | NameRef, ...] = ()
    ports: tuple[PortRange | NameRef, ...] = ()
    not_ports: tuple[PortRange | NameRef, ...] = ()
    selector: Selector | None = None
    not_selector: Selector | None = None
    networks: tuple[NameRef, ...] = ()


ANY_SIDE = Side()


@dataclass(frozen=True, slots=True)
class Match:
    """The packets that a rule is about. protocol numbers 1-255; ip_version 4, 6 or None for both."""

    ip_version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: Icmp | None = None
    not_icmp: Icmp | None = None
    source: Side = ANY_SIDE
    destination: Side = ANY_SIDE


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of policy. span is the line that it came from and takes no part in equality."""

    action: Action
    match: Match = Match()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LogLimit:
    """How many lines a second one Log rule writes, and how many at once before that counts."""

    rate: int = 10
    burst: int = 50

    def __str__(self) -> str:
        return f"{self.rate}/{self.burst}"


USUAL_LOG_LIMIT = LogLimit()
MOST_LOG_LINES = 10_000
"""A limit's rate and burst are no more."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network's policy: its own name, its id on every target, and the rules of both directions.

    No match is deny. labels_to_apply is derived: an endpoint of the network carries {id: ""}. form is that of a profile
    (ir/canonical.py): the rules of a later one may say in few what the files say in many.
    """

    name: str
    id: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    endpoint_to_host: ToHost = ToHost.DROP
    log_limit: LogLimit = USUAL_LOG_LIMIT
    form: int = 1
