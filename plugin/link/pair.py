"""A container's namespace and addresses in, a veth pair in Calico's way out; and its removal and check."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from errno import EEXIST
from ipaddress import IPv4Address, IPv6Address
from json.encoder import encode_basestring_ascii
from types import MappingProxyType

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.digest import sha256
from calico_rkt.compiler.values import dataclass, field
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import conntrack, inside, messages, netlink, removal, sends, state, sysctls
from calico_rkt.plugin.link.netns import Netns, open_netns, run_in
from calico_rkt.plugin.link.numbered import Batch
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.link.state import owned_links, owner
from calico_rkt.plugin.model import Endpoint, Key

__all__ = [
    "Link",
    "Netns",
    "TakenError",
    "bring_up_pair",
    "check_link",
    "create_pair",
    "delete_inside",
    "delete_pair",
    "delete_unrecorded",
    "forget_flows",
    "host_ifname",
    "is_there",
    "open_netns",
    "owned_links",
    "owner",
    "random_mac",
    "tidy_netns",
]

_LONGEST_ALIAS = 254
_LONGEST_NAME = 15
_SMALLEST_MTU = {4: 68, 6: 1280}
_USUAL_MTU = 1500
_FAR_AWAY: tuple[Address, ...] = (IPv4Address("198.51.100.1"), IPv6Address("2001:db8::1"))

_IN_TURN = threading.Lock()
"""The kernel changes links one at a time, and who waits for it there keeps a processor busy: threads wait here."""

forget_flows = conntrack.flush_flows


@dataclass(frozen=True, slots=True)
class Link:
    """One veth pair: the host's end by name and index, the container's by name, MAC and addresses; mtu in bytes.

    exposed: those of its addresses that packets of the host went to somewhere until now, or that it had no route for.
    table: the number of the container's own table for it, where it was in another network before.
    """

    host_ifname: str
    host_index: int
    ifname: str
    mac: str
    mtu: int
    addresses: tuple[Address, ...]
    routes: tuple[Net, ...] = ()
    host_mac: str = messages.HOST_MAC
    gateways: Mapping[int, Address] = field(default_factory=lambda: messages.GATEWAYS)
    exposed: tuple[Address, ...] = ()
    table: int = 0


class TakenError(CniError):
    """The host itself has the address, or somebody's route to it alone."""

    def __init__(self, address: Address, what: str) -> None:
        super().__init__(Code.LINK, f"the host has {what} {address} already")
        self.address = address


def host_ifname(key: Key, prefix: str = state.PREFIX) -> str:
    """The host end's name: prefix and hex digits that depend on network, container and interface together."""
    joined = ", ".join(map(encode_basestring_ascii, (key.network, key.container, key.ifname)))  # as json.dumps
    return prefix + sha256(f"[{joined}]".encode()).hexdigest()[: _LONGEST_NAME - len(prefix)]


def random_mac(nonce: str) -> str:
    """A unicast MAC of the locally administered kind, as random as the attachment's nonce."""
    first, *rest = sha256(nonce.encode()).digest()[:6]
    return bytes([(first & 0xFC) | 0x02, *rest]).hex(":")


def create_pair(
    netns: Netns,
    *,
    key: Key,
    nonce: str,
    host_ifname: str,
    ifname: str,
    addresses: Sequence[Address],
    mtu: int = 0,
    routes: Sequence[Net] = (),
    mac: str = "",
    gateways: Mapping[int, Address] = MappingProxyType({}),
    clear_of_the_host: bool = False,
    group: int = 0,
) -> Link:
    """Make the pair, the host end down, all inside the container ready; undone as a whole when a step fails.

    mtu 0 is that of the interface the host's default route uses, or 1500. routes lead through the same
    gateway as the default route, which is there in any case; gateways, by IP version, stand in for the usual ones.
    CniError 104 when either name exists already (and stays as it was); TakenError when the host has one of the
    addresses, or a route to it. clear_of_the_host: also refuse an address in a network that an interface of it is in.
    group: the device group that the host end is born in.
    """
    mac = (mac or random_mac(nonce)).lower()
    _check_mac(mac)
    alias = _alias(nonce, key)
    with _IN_TURN, host_socket() as host:
        exposed, mtu = _looked_up(host, host_ifname, addresses, clear_of_the_host, mtu)
        destinations = messages.routes_inside((a.version for a in addresses), routes)
        ways = messages.GATEWAYS | dict(gateways) if gateways else messages.GATEWAYS
        made = sends.pair(host_ifname, ifname, netns.fd, mac, mtu, alias.encode(), group)
        index, peer = _make_pair(host, netns, host_ifname, ifname, made)
        try:
            table = run_in(netns, lambda: inside.furnish(ifname, peer, addresses, destinations, ways))
        except BaseException as e:
            _drop(host, host_ifname, nonce)
            if isinstance(e, OSError):
                raise CniError(Code.LINK, f"{ifname} in {netns.path} can't be set up: {e.strerror}") from e
            raise
    return Link(
        host_ifname,
        index,
        ifname,
        mac,
        mtu,
        tuple(addresses),
        destinations,
        gateways=ways,
        exposed=exposed,
        table=table,
    )


def bring_up_pair(link: Link) -> None:
    """Bring the host end up and route its addresses to it; the last step of an attachment. Repeating it is fine."""
    gateway = link.gateways[4]
    four = any(a.version == 4 for a in link.addresses)
    with _IN_TURN, host_socket() as host:
        sysctls.enable(link.host_ifname, {a.version for a in link.addresses})
        asked = (*link.addresses, gateway) if four else link.addresses
        done, leads = host.exchange(sends.outside(link.host_index, link.mac, link.addresses, asked))
        for error in done:
            if error is not None and error.errno != EEXIST:
                raise CniError(Code.LINK, f"{link.host_ifname} can't be brought up: {error.strerror}") from error
        if four and not isinstance(leads[-1], bytes):
            host.batch(messages.answerable(gateway))
        for address, way in zip(link.addresses, leads, strict=False):
            if not state.leads_by(way, link.host_index):
                raise CniError(Code.LINK, f"the host has a route to {address} already, not by {link.host_ifname}")


def delete_pair(host_ifname: str, nonce: str) -> bool:
    """Remove the pair when its host end carries this nonce; False when it is missing or another's."""
    with host_socket() as host:
        found = state.interface(host, host_ifname)
    if not nonce or found is None or found.nonce != nonce:
        return False
    try:
        removal.remove(found.index)
    except OSError as e:
        raise CniError(Code.LINK, f"{host_ifname} can't be removed: {e.strerror}") from e
    return True


def delete_unrecorded(key: Key, prefix: str = state.PREFIX) -> bool:
    """Remove the host end of an attachment that no record speaks of, where it is ours; False when there is none."""
    name = host_ifname(key, prefix)
    if not is_there(name):  # most often there is none, and this says so sooner
        return False
    nonce = owner(name)
    return bool(nonce) and delete_pair(name, nonce or "")


def _alias(nonce: str, key: Key) -> str:
    whole = f"{state.ALIAS} {nonce} {key.ifname} {key.network} {key.container}"
    return whole.encode()[:_LONGEST_ALIAS].decode(errors="ignore")


def is_of(alias: str, key: Key) -> bool:
    """Whether a host end's alias is that of an attachment of this key, whatever its nonce."""
    return alias == _alias(alias.split(" ")[1], key)


def is_there(name: str) -> bool:
    """Whether the host has an interface of that name, whosever it is."""
    try:
        with host_socket() as host:
            return host.has_link(name)
    except OSError:
        return False


def delete_inside(netns: Netns, ifname: str, mac: str) -> bool:
    """Remove the container's end, where the host end can't be found, when it is the veth with that MAC."""
    return run_in(netns, lambda: inside.remove(ifname, mac))


def tidy_netns(netns: Netns, addresses: Sequence[Address]) -> None:
    """Take away what an attachment leaves in a container beside its link."""
    try:
        run_in(netns, lambda: inside.tidy(addresses))
    except OSError as e:
        raise CniError(Code.LINK, f"the rules in {netns.path} can't be taken away: {e.strerror}") from e


def check_link(
    netns: Netns,
    endpoint: Endpoint,
    routes: Sequence[Net] = (),
    gateways: Mapping[int, Address] = MappingProxyType({}),
    mac: str = "",
) -> list[str]:
    """What of an attachment's link is not as ADD left it, in words; empty when it is whole.

    gateways as in create(); mac is what somebody after us gave the interface.
    """
    ways = messages.GATEWAYS | dict(gateways)
    problems = run_in(netns, lambda: inside.check(endpoint, routes, ways, mac or endpoint.mac))
    versions = {a.version for a in endpoint.addresses}
    name = endpoint.host_ifname
    with host_socket() as host:
        link = state.interface(host, name)
        if link is None:
            return [*problems, f"the host has no {name}"]
        if link.nonce != endpoint.nonce:
            problems.append(f"the host's {name} belongs to another attachment")
        if not link.up:
            problems.append(f"the host's {name} is down")
        if link.master:
            problems.append(f"the host's {name} is a port of another interface")
        for address in endpoint.addresses:
            route = state.route_to(host, address)
            if route is None or not route.unicast or route.index != link.index:
                problems.append(f"the host has no route to {address} by {name}")
    if not sysctls.is_enabled(versions):
        problems.append("the host does not forward")
    return problems


def _smallest(mtu: int, addresses: Sequence[Address]) -> int:
    smallest = max(_SMALLEST_MTU[a.version] for a in addresses)
    if mtu and mtu < smallest:
        raise CniError(Code.INVALID_CONF, f"mtu {mtu} is too small: the network's addresses need {smallest}")
    return smallest


def _usual_mtu(host: netlink.Socket, far_away: Sequence[state.Way]) -> int:
    """That of the interface which the default route leaves by."""
    for way in far_away:
        if way.route is not None and way.route.index and not way.route.destination.prefixlen:
            return state.interface_at(host, way.route.index).mtu
    return _USUAL_MTU


def _check_mac(mac: str) -> None:
    if int(mac[:2], 16) & 1 or mac in (messages.HOST_MAC, "00:00:00:00:00:00"):
        raise CniError(Code.INVALID_ENVIRONMENT, f"{mac} can't be the MAC of a container's interface")


def _refuse_on_link(host: netlink.Socket, address: Address, route: state.Route) -> None:
    """A network that the host has come to be in since the range was first used."""
    if route.unicast and route.gateway is None and route.index and route.destination.prefixlen:
        ifname = state.interface_at(host, route.index).name
        raise CniError(
            Code.INVALID_CONF,
            f"{address} is in {route.destination}, which this host has on {ifname}",
            "choose a subnet that no interface of the host is in",
        )


def _looked_up(
    host: netlink.Socket, name: str, addresses: Sequence[Address], clear_of_the_host: bool, mtu: int
) -> tuple[tuple[Address, ...], int]:
    """The addresses that no unreachable route keeps packets from, and the pair's MTU; an error for what is taken.

    name: of the host end, which must not be there now: another link of that name would get our alias by what is
    sent next.
    """
    smallest = _smallest(mtu, addresses)
    _, (named, *answers) = host.exchange(sends.look(name, addresses if mtu else (*addresses, *_FAR_AWAY)))
    if isinstance(named, bytes):
        raise CniError(Code.LINK, f"the host has an interface {name} already")
    ways = [state.way_in(a) for a in answers]
    exposed = []
    for address, way in zip(addresses, ways, strict=False):
        if way.route is not None and way.route.destination.prefixlen == address.max_prefixlen:
            raise TakenError(address, "a route to" if way.route.unicast else "the address")
        if way.route is not None and clear_of_the_host:
            _refuse_on_link(host, address, way.route)
        if not way.unreachable:
            exposed.append(address)
    return tuple(exposed), mtu or max(_usual_mtu(host, ways[len(addresses) :]), smallest)


def _make_pair(host: netlink.Socket, netns: Netns, host_ifname: str, ifname: str, made: Batch) -> tuple[int, int]:
    """The indexes of the pair's ends; it and its alias are made in one system call.

    Nothing of ours is ever there without saying whose it is.
    """
    (failed, unnamed), (end,) = host.exchange(made)
    if failed is not None:
        if failed.errno == EEXIST:
            raise CniError(Code.LINK, f"{netns.path} has an interface {ifname} already") from failed
        words = f"the pair {host_ifname}, {ifname} can't be made: {failed.strerror}"
        raise CniError(Code.LINK, words) from failed
    if not isinstance(end, bytes):
        raise CniError(Code.LINK, f"{host_ifname} went away while it was set up") from end
    index, peer = state.ends_in(end)
    if unnamed is not None:
        host.do(messages.removal(index))
        raise CniError(Code.LINK, f"{host_ifname} can't be given its alias: {unnamed.strerror}") from unnamed
    return index, peer


def _drop(host: netlink.Socket, name: str, nonce: str) -> None:
    """Undo _make_pair; the error that led here is the one to report."""
    found = state.interface(host, name)
    if found is not None and found.nonce == nonce:
        host.batch(messages.removal(found.index))
