"""The ipam object of a conf in, an Ipam out: host-local's keys, checked against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_address, ip_network

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range, Route
from calico_rkt.compiler.conf.section import Section, json_kind
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, Sequence, cidr_of
from calico_rkt.compiler.values import dataclass

RANGE_KEYS = ("subnet", "rangeStart", "rangeEnd", "gateway")
IPAM_KEYS = ("type", "ranges", "routes", "exclude", "guard", *RANGE_KEYS)
ROUTE_KEYS = ("dst", "gw")
_WITHOUT_EFFECT = {
    "dataDir": "leases are kept in the datastore",
    "resolvConf": "DNS settings come from the conf's dns and the capability dns",
}
NO_HOSTS = {
    4: tuple(map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"))),
    6: tuple(map(ip_network, ("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"))),
}
"""Addresses that no container can have: this network, loopback, link-local, multicast, broadcast, v4-mapped."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A range and where its subnet stands."""

    range: Range
    span: Span


def read_ipam(ipam: Section, cni_version: str) -> Ipam | None:
    """The ipam object; None where it is wrong, with the reasons among the section's problems.

    Only `host-local` is read any further: other types are delegated, and their keys are their own, but for `guard`.
    """
    kind_of = ipam.text("type")
    if kind_of is None:
        if ipam.mapping.get("type") is None:
            ipam.missing("type", '"type": "host-local"')
        return None
    if not re.fullmatch(r"[^/\s]+", kind_of) or kind_of in (".", ".."):
        ipam.error("CR206", f"ipam.type {kind_of!r} is no name of a plugin", ipam.span("type"))
        return None
    if kind_of != "host-local":
        node = ipam.mapping.get("guard")
        guarded = not (isinstance(node, Scalar) and node.plain and node.text == "false")
        return Ipam(kind_of, guard=guarded, span=ipam.span("type"))
    before = len(ipam.problems)
    ipam.check_keys(IPAM_KEYS, _WITHOUT_EFFECT)
    for key, why in _WITHOUT_EFFECT.items():
        if ipam.mapping.get(key) is not None:
            ipam.warning("CR216", f"ipam.{key} has no effect: {why}", ipam.span(key))
    guard = ipam.boolean("guard", default=True)
    sets = _sets(ipam)
    routes, exclude = _routes(ipam), _exclude(ipam)
    if sets is None or any(p.is_error for p in ipam.problems[before:]):
        return None
    _check_overlap(ipam, [r for one in sets for r in one])
    _check_families(ipam, sets, cni_version)
    _check_exclude(ipam, sets, exclude)
    place = ipam.span("subnet" if ipam.mapping.get("subnet") is not None else "ranges")
    return Ipam(kind_of, tuple(tuple(p.range for p in one) for one in sets), routes, exclude, guard, place)


def _sets(ipam: Section) -> list[list[_Placed]] | None:
    """host-local's rule: `subnet` and its neighbours are one set, the sets of `ranges` follow it."""
    sets: list[list[_Placed]] = []
    if any(ipam.mapping.get(key) is not None for key in RANGE_KEYS):
        one = _range(ipam)
        sets += [[one]] if one else []
    elif ipam.mapping.get("ranges") is None:
        ipam.missing("subnet", '"subnet": "10.1.0.0/16"')
        return None
    listed = ipam.items("ranges", "lists of ranges")
    if listed == () and not sets:
        ipam.error("CR210", "ipam.ranges is empty: no address can be given out", ipam.span("ranges"))
    for number, node in enumerate(listed or ()):
        label = f"ipam.ranges[{number}]"
        if not isinstance(node, Sequence):
            hint = 'one more pair of brackets: "ranges": [[{"subnet": "10.1.0.0/16"}]]'
            ipam.error("CR203", f"{label} must be a list of ranges, not {json_kind(node)}", node.span, hint)
            continue
        if not node.items:
            ipam.error("CR210", f"{label} is empty: no address can be given out", node.span)
        found: list[_Placed] = []
        for index, item in enumerate(node.items):
            if not isinstance(item, Mapping):
                ipam.error("CR203", f"{label}[{index}] must be an object, not {json_kind(item)}", item.span)
                continue
            section = Section(item, f"{label}[{index}]", ipam.problems)
            section.check_keys(RANGE_KEYS)
            one = _range(section)
            found += [one] if one else []
        sets.append(found)
    return sets


def _range(section: Section) -> _Placed | None:
    """One range. Defaults are host-local's: all of the subnet but the network's own address and, in IPv4, broadcast.

    Unlike host-local, the first address is not kept back for a gateway unless `gateway` names it: containers
    here have the gateway 169.254.1.1, and this plugin always gave out x.1 first.
    """
    node = section.mapping.get("subnet")
    if node is None:
        section.missing("subnet", '"subnet": "10.1.0.0/16"')
        return None
    subnet = _net(section, node, section.label("subnet"))
    if subnet is None:
        return None
    if subnet.num_addresses < 4:
        least = subnet.max_prefixlen - 2
        message = f"{subnet} is too small to give out addresses from"
        section.error("CR210", message, node.span, f"a subnet of /{least} or wider")
        return None
    first = _bound(section, "rangeStart", subnet) or subnet[1]
    last = _bound(section, "rangeEnd", subnet) or subnet[-2 if isinstance(subnet, IPv4Network) else -1]
    if int(first) > int(last):
        span = section.span("rangeEnd" if section.mapping.get("rangeEnd") else "rangeStart")
        section.error("CR209", f"the range ends at {last}, before its start {first}", span)
        return None
    for bad in NO_HOSTS[subnet.version]:
        if int(first) <= int(bad[-1]) and int(bad[0]) <= int(last):
            section.error("CR215", f"{subnet} covers {bad}, which no container can have", node.span)
            return None
    gateway_node = section.mapping.get("gateway")
    gateway = None if gateway_node is None else _address(section, gateway_node, section.label("gateway"))
    if gateway_node is not None and gateway is not None and gateway not in subnet:
        if gateway.version != subnet.version:
            section.error("CR209", f"the gateway {gateway} is of another family than {subnet}", gateway_node.span)
        else:
            section.warning("CR216", f"the gateway {gateway} is outside {subnet}: no effect", gateway_node.span)
    return _Placed(Range(subnet, first, last, gateway), node.span)


def _bound(section: Section, key: str, subnet: Net) -> Address | None:
    node = section.mapping.get(key)
    if node is None:
        return None
    found = _address(section, node, section.label(key))
    if found is not None and found not in subnet:
        section.error("CR209", f"{section.label(key)} {found} is outside {subnet}", node.span)
        return None
    return found


def _address(section: Section, node: Node, label: str) -> Address | None:
    text = section.text_of(node, label)
    if text is None:
        return None
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text)
    except ValueError:
        section.error("CR207", f"{label} {text!r} is no IP address", node.span, _address_hint(text))
        return None


def _net(section: Section, node: Node, label: str) -> Net | None:
    text = section.text_of(node, label)
    if text is None:
        return None
    found = cidr_of(text)
    if found is None:
        section.error("CR207", f"{label} {text!r} is no CIDR", node.span, _cidr_hint(text))
        return None
    if found.ip != found.network.network_address:
        hint = f"the network is {found.network}"
        section.error("CR208", f"{label} {text} has bits set behind its prefix", node.span, hint)
        return None
    return found.network


def _cidr_hint(text: str) -> str:
    try:
        one = ip_address(text)
    except ValueError:
        pass
    else:
        return f"add the prefix length; this one address alone is {one}/{one.max_prefixlen}"
    # Here, not above: no plugin call with a clean conf needs it.
    from calico_rkt.compiler.text.values import nearest_cidr

    return nearest_cidr(text)


def _address_hint(text: str) -> str:
    """The address of `10.1.0.9/24`, or of one with blanks around it, where it is one."""
    try:
        return f"write {ip_address(text.partition('/')[0].strip())}" if "%" not in text else "without a zone (%)"
    except ValueError:
        return "such as 10.1.0.9"


def _routes(ipam: Section) -> tuple[Route, ...]:
    out: list[Route] = []
    for index, node in enumerate(ipam.items("routes", "objects with dst") or ()):
        label = f"ipam.routes[{index}]"
        if not isinstance(node, Mapping):
            ipam.error("CR203", f"{label} must be an object, not {json_kind(node)}", node.span)
            continue
        route = Section(node, label, ipam.problems)
        route.check_keys(ROUTE_KEYS)
        dst, gw = route.mapping.get("dst"), route.mapping.get("gw")
        if dst is None:
            route.missing("dst", '"dst": "0.0.0.0/0"')
        gateway = None if gw is None else _address(route, gw, f"{label}.gw")
        net = None if dst is None else _net(route, dst, f"{label}.dst")
        if gw is not None and gateway is not None and net is not None and gateway.version != net.version:
            route.error("CR209", f"the gateway {gateway} is of another family than {net}", gw.span)
        if net is not None:
            out.append(Route(net, gateway))
    return tuple(out)


def _exclude(ipam: Section) -> tuple[Net, ...]:
    nodes = ipam.items("exclude", "CIDRs") or ()
    found = (_net(ipam, node, f"ipam.exclude[{i}]") for i, node in enumerate(nodes))
    return tuple(net for net in found if net is not None)


def _check_overlap(ipam: Section, ranges: Iterable[_Placed]) -> None:
    """host-local refuses overlapping subnets; two ranges of one subnet that share no address are fine."""
    ordered = sorted(ranges, key=lambda p: (p.range.subnet.version, int(p.range.first), int(p.range.last)))
    widest: _Placed | None = None
    for placed in ordered:
        one = placed.range
        if widest and widest.range.subnet.version == one.subnet.version and int(one.first) <= int(widest.range.last):
            other = widest.range
            message = f"{one.first} to {one.last} overlaps {other.first} to {other.last}"
            ipam.error("CR212", message, placed.span, "an address belongs to one range only")
        same_family = widest is not None and widest.range.subnet.version == one.subnet.version
        if widest is None or not same_family or int(one.last) > int(widest.range.last):
            widest = placed


def _check_families(ipam: Section, sets: list[list[_Placed]], cni_version: str) -> None:
    for one in sets:
        for placed in one[1:]:
            if placed.range.subnet.version != one[0].range.subnet.version:
                hint = "give IPv4 and IPv6 a list each: an endpoint gets one address from each list"
                ipam.error("CR211", "IPv4 and IPv6 in one list of ranges", placed.span, hint)
    families = [one[0].range.subnet.version for one in sets if one]
    if cni_version in ("0.1.0", "0.2.0"):
        for number, one in enumerate(sets):
            if families[number] in families[:number]:
                message = f"a result of CNI {cni_version} holds one address a family, this would give two"
                hint = 'set "cniVersion" to "0.3.1" or newer, or put the ranges into one list'
                ipam.error("CR211", message, one[0].span, hint)


def _check_exclude(ipam: Section, sets: list[list[_Placed]], exclude: tuple[Net, ...]) -> None:
    if not exclude and all(placed.range.gateway is None for one in sets for placed in one):
        return
    given = {v: _joined((r.first, r.last) for r in _of(v, sets)) for v in (4, 6)}
    taken = {v: _joined((net[0], net[-1]) for net in exclude if net.version == v) for v in (4, 6)}
    for index, net in enumerate(exclude):
        spans = given[net.version]
        at = _last_begun(spans, int(net[-1]))
        if at < 0 or spans[at][1] < int(net[0]):
            nodes = ipam.items("exclude", "CIDRs") or ()
            ipam.warning("CR216", f"{net} is in none of the ranges: excluding it has no effect", nodes[index].span)
    for one in sets:
        if not any(_has_room(p.range, taken[p.range.subnet.version]) for p in one):
            ipam.error("CR210", "no address is left: all of them are excluded or the gateway", one[0].span)


def _of(version: int, sets: list[list[_Placed]]) -> Iterator[Range]:
    return (p.range for one in sets for p in one if p.range.subnet.version == version)


def _joined(spans: Iterable[tuple[Address, Address]]) -> list[tuple[int, int]]:
    """The same addresses as first and last of spans that neither overlap nor touch, in order."""
    out: list[tuple[int, int]] = []
    for first, last in sorted((int(first), int(last)) for first, last in spans):
        if out and first <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(out[-1][1], last)
        else:
            out.append((first, last))
    return out


def _last_begun(spans: list[tuple[int, int]], address: int) -> int:
    """The number of the last span that begins at this address or before, -1 where none does."""
    from bisect import bisect_right  # most confs exclude nothing

    return bisect_right(spans, address, key=_first) - 1


def _first(span: tuple[int, int]) -> int:
    return span[0]


def _has_room(one: Range, taken: list[tuple[int, int]]) -> bool:
    """Whether an address of the range is neither excluded nor the gateway; taken is what is excluded, joined."""
    gateway = int(one.gateway) if one.gateway is not None and one.gateway.version == one.subnet.version else None
    free = int(one.first)
    while free <= int(one.last):
        at = _last_begun(taken, free)
        if at >= 0 and free <= taken[at][1]:
            free = taken[at][1] + 1
        elif free == gateway:
            free += 1
        else:
            return True
    return False
