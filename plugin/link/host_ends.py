"""Recorded endpoints in; what of host ends, routes and sysctls is not as ADD left it, in words, or mended, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from errno import EBUSY, EEXIST, ENODEV
from ipaddress import ip_network

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import ip_rules, messages, netlink, state, sysctls
from calico_rkt.plugin.link.groups import group_of
from calico_rkt.plugin.link.neighbours import neighbours
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.link.state import Interface
from calico_rkt.plugin.model import Endpoint

_AT_ONCE = 100
"""Questions to the kernel in one go."""
STRAY = "is a host end of ours that no record knows, so its packets are dropped"
ELSEWHERE = "leads another way than by"
"""What is said of a stray, and of a route that comes before an endpoint's: neither is for a restore to mend."""


@dataclass(frozen=True, slots=True)
class Host:
    """The host's links by name and by the nonce in their alias, what leads to and stands by each.

    sysctls: by IP version what of the host's own is not as it should be, in words.
    """

    by_name: dict[str, Interface]
    by_nonce: dict[str, Interface]
    routes: frozenset[tuple[Net, int]]
    addresses: frozenset[tuple[int, Address]]
    pinned: dict[tuple[int, Address], str]
    """The MACs that somebody has written down for good; others the kernel learns anew."""
    sysctls: dict[int, tuple[str, ...]]


def host_end_differences(endpoints: Sequence[Endpoint], *, for_all: bool = False) -> tuple[tuple[Endpoint, str], ...]:
    """Each with an endpoint that it is about; a few dumps, and one question to the kernel an address.

    for_all: only what holds for all packets, not what rules of somebody's may do to some.
    """
    host = _look()
    found = [(e, tuple(_problems(host, e))) for e in endpoints]
    if not for_all:  # an address whose neighbour is written down is reached all the same
        found = [(e, (*problems, *_without_arp(host, e))) for e, problems in found]
    right = [e for e, problems in found if not problems]
    elsewhere: tuple[tuple[Endpoint, str], ...] = ()
    if right:
        with host_socket() as socket:
            elsewhere = tuple(_led_elsewhere(socket, host, right, for_all=for_all))
    return (*((e, problem) for e, problems in found for problem in problems), *elsewhere)


def mend_host_ends(endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    """Put right what can be: names, state, addresses, routes, sysctls; what could not be, in words.

    After the table is in force: a link that comes up would be open without it.
    """
    wrong = {e.nonce: e for e, _ in host_end_differences(endpoints)}
    failed = []
    with netlink.Socket() as socket:
        links = {i.nonce: i for i in state.veths(socket) if i.nonce}
        for endpoint in wrong.values():
            if endpoint.nonce in links:
                try:
                    _mend(socket, links[endpoint.nonce], endpoint)
                except (OSError, CniError) as e:
                    words = e.msg if isinstance(e, CniError) else e.strerror
                    failed.append(f"{endpoint.host_ifname} could not be mended: {words}")
    return (*failed, *(words for _, words in host_end_differences(tuple(wrong.values()))))


def strays(endpoints: Iterable[Endpoint], recorded: Callable[[], Iterable[Endpoint]]) -> tuple[str, ...]:
    """Host ends of this host's own datastore that no record is of, in words: nobody knows what they may.

    endpoints: as they were recorded a moment ago; recorded: what reads them once more, where a link is of none of them.
    A record comes before its link and goes after it. So that link is asked for before the records are, and after.
    """
    known = {e.nonce for e in endpoints}
    with host_socket() as socket:
        found = [(n, nonce) for n, nonce in state.marked(socket) if n.startswith(state.PREFIX) and nonce not in known]
        if not found:
            return ()
        known = {e.nonce for e in recorded()}
        asked = [(name, nonce, state.interface(socket, name)) for name, nonce in found if nonce not in known]
    return tuple(
        f"{name} {STRAY}: a DEL of its container takes it away, or ip link del {name}"
        for name, nonce, now in asked
        if now is not None and now.nonce == nonce
    )


def put_into_groups(ends: Iterable[tuple[str, str, int]]) -> tuple[str, ...]:
    """Have each host end in its network's group; what the kernel refused, in words.

    ends: of each the nonce of its attachment, its name, and that group. Before a table goes by groups: who is in no
    group, or in another's, is dropped by it.
    """
    wanted, by_nonce = dict[str, int](), dict[str, int]()
    for nonce, name, group in ends:
        wanted[name] = by_nonce[nonce] = group
    failed = []
    with netlink.Socket() as socket:
        suspects = [index for name, index, has in state.groups(socket) if wanted.get(name) != has]
        for index in suspects:
            try:
                end = state.interface_at(socket, index)
                group = by_nonce.get(end.nonce, end.group)
                if end.group != group:
                    socket.do(messages.joining(index, group))
            except netlink.NetlinkError as e:
                if e.errno != ENODEV:
                    failed.append(f"a host end could not be put into its group: {e.strerror}")
    return tuple(failed)


def foreign_in_group(group: int) -> str:
    """The name of an interface in this group that is no host end of ours; empty where there is none."""
    with netlink.Socket() as socket:
        for name, index, its in state.groups(socket, kind=""):
            if its == group and not name.startswith(state.PREFIX) and not state.interface_at(socket, index).nonce:
                return name
    return ""


def _look() -> Host:
    with netlink.Socket() as socket:
        links = state.interfaces(socket)
        return Host(
            by_name={i.name: i for i in links},
            by_nonce={i.nonce: i for i in links if i.nonce},
            routes=frozenset((r.destination, r.index) for r in state.routes(socket) if r.unicast),
            addresses=frozenset((index, address) for index, address, _ in state.addresses(socket)),
            pinned={(n.index, n.address): n.mac for n in neighbours(socket) if n.permanent},
            sysctls=sysctls.host_problems(),
        )


def _problems(host: Host, endpoint: Endpoint) -> Iterator[str]:
    name, key = endpoint.host_ifname, endpoint.key
    link = host.by_nonce.get(endpoint.nonce)
    if link is None:
        other = " (an interface of that name is somebody else's)" if name in host.by_name else ""
        way_out = f"calico-rkt gc --attachment {key}"
        yield f"the host has no {name} of {key.container} {key.ifname} in network {key.network}{other}: {way_out}"
        return
    if link.name != name:
        yield f"the host's {link.name} should be called {name}"
        return
    if not link.up:
        yield f"the host's {name} is down"
    group = group_of(object_id(key.network))
    if link.group != group:
        yield f"the host's {name} is in device group {link.group}, not its network's {group}: all is dropped"
    if link.mac != messages.HOST_MAC:
        yield f"the host's {name} has the MAC {link.mac}, not {messages.HOST_MAC}"
    if link.master:
        port_of = next((i.name for i in host.by_name.values() if i.index == link.master), "another interface")
        yield f"the host's {name} is a port of {port_of}: its packets may pass below netfilter"
    versions = {a.version for a in endpoint.addresses}
    if link.up and 6 in versions and (link.index, messages.GATEWAYS[6]) not in host.addresses:
        yield f"the host's {name} lacks {messages.GATEWAYS[6]}"
    for address in endpoint.addresses if link.up else ():
        if (ip_network(address), link.index) not in host.routes:
            yield f"the host has no route to {address} by {name}"
        pinned = host.pinned.get((link.index, address), endpoint.mac)
        if pinned != endpoint.mac:
            yield f"the host's {name} takes {pinned} for {address}, which is {endpoint.mac}"
    for version in sorted(versions):
        yield from host.sysctls[version]
    yield from sysctls.problems(name, versions)


def _without_arp(host: Host, endpoint: Endpoint) -> Iterator[str]:
    link = host.by_nonce.get(endpoint.nonce)
    if link is not None and not link.arp:
        yield f"the host's {link.name} asks for no neighbours (arp off)"


def _led_elsewhere(
    socket: netlink.Socket, host: Host, endpoints: Sequence[Endpoint], *, for_all: bool
) -> Iterator[tuple[Endpoint, str]]:
    """Endpoints whose addresses the host's routes lead elsewhere, by a route or a rule that comes before theirs.

    Asked is the host's own packet, without a mark. Where rules of somebody's choose tables of routes others may fare
    otherwise, so nothing is said for all then.
    """
    versions = [v for v in (4, 6) if not (for_all and ip_rules.policy_rules(socket, v)[0])]
    asked = [(e, a) for e in endpoints for a in e.addresses if a.version in versions]
    for at in range(0, len(asked), _AT_ONCE):
        some = asked[at : at + _AT_ONCE]
        _, answers = socket.exchange(b"", [state.asked_way(address) for _, address in some])
        for (endpoint, address), answer in zip(some, answers, strict=True):
            if not state.leads_by(answer, host.by_nonce[endpoint.nonce].index):
                yield endpoint, f"the host's route to {address} {ELSEWHERE} {endpoint.host_ifname}"


def _mend(socket: netlink.Socket, link: Interface, endpoint: Endpoint) -> None:
    if link.name != endpoint.host_ifname:
        _rename(socket, link, endpoint.host_ifname)
    group = group_of(object_id(endpoint.key.network))
    if link.group != group:
        socket.do(messages.joining(link.index, group))
    if link.mac != messages.HOST_MAC:
        socket.do(messages.addressed(link.index, messages.HOST_MAC))
    if link.master:
        socket.do(messages.mastered(link.index, 0))
    if not link.arp:
        socket.do(messages.asking(link.index))
    sysctls.enable(endpoint.host_ifname, {a.version for a in endpoint.addresses})
    for error in socket.batch(messages.outside(link.index, endpoint.mac, endpoint.addresses)):
        if error is not None and error.errno != EEXIST:
            raise error


def _rename(socket: netlink.Socket, link: Interface, name: str) -> None:
    try:
        socket.do(messages.renaming(link.index, name))
    except netlink.NetlinkError as e:
        if e.errno != EBUSY:
            raise
        socket.do(messages.down(link.index) + messages.renaming(link.index, name))
