"""Recorded endpoints in, whether each still lives and how that is known out: by its path, or by the kernel's own pair.

A path proves little: it may lead elsewhere in this mount namespace, and the number of a dead namespace is given to
the next one. A pair of links dies with the namespace of its either end, so a host end that carries the attachment's
nonce, whose other end is in a namespace that lives, is proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import Enum

from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import netlink, pair, state
from calico_rkt.plugin.link.netns import identity, may_look, open_netns, run_in
from calico_rkt.plugin.link.sockets import host_socket, own_netns
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.protocol import Remains

_DYING, _PAUSE = 1.0, 0.02
"""Seconds that a namespace may take to die: its sockets, and the agent's descriptor of it, are let go a little late."""


class Life(Enum):
    """NAMED: the recorded path leads to it, or is not to be looked at. HIDDEN: it doesn't, but the host end lives.

    OVER: neither.
    ELSEWHERE: no path leads to it, and its host end was made in another network namespace than this one.
    """

    NAMED, HIDDEN, ELSEWHERE, OVER = "named", "hidden", "elsewhere", "over"


def life_of(endpoint: Endpoint) -> Life:
    """Whether one endpoint lives, as it looks now; its host end is looked for by its own name only."""
    with host_socket() as host:
        return _judged(host, endpoint, state.interface(host, endpoint.host_ifname))


def survey(endpoints: Iterable[Endpoint]) -> tuple[tuple[Endpoint, Life], ...]:
    """The same for many. A host end that somebody renamed counts, too: all links are looked through once at most.

    What seems hidden is looked at for a while, since a namespace dies some time after its last process and path.
    """
    found = _survey(endpoints)
    until = time.monotonic() + _DYING
    while any(life is Life.HIDDEN for life in found.values()) and time.monotonic() < until:
        time.sleep(_PAUSE)
        found |= _survey([e for e, life in found.items() if life is Life.HIDDEN])
    return tuple(found.items())


def _survey(endpoints: Iterable[Endpoint]) -> dict[Endpoint, Life]:
    found = {}
    renamed: dict[str, state.Interface] | None = None
    with host_socket() as host:
        for endpoint in endpoints:
            end = state.interface(host, endpoint.host_ifname)
            if end is None or end.nonce != endpoint.nonce:
                if renamed is None:
                    renamed = {i.nonce: i for i in state.veths(host) if i.nonce}
                end = renamed.get(endpoint.nonce)
            found[endpoint] = _judged(host, endpoint, end)
    return found


def traces(key: Key, left: Remains) -> str:
    """In words, what there is of an attachment whose record can't be read; empty where the kernel has nothing of it.

    A pair of links dies with the namespace of its either end; a renamed host end is known by its alias.
    """
    if left.home not in ((0, 0), own_netns()):
        return "it was attached from another network namespace"
    if left.netns and left.place != (0, 0) and identity(left.netns) == left.place:
        return f"{left.netns} leads to its network namespace"
    until = time.monotonic() + _DYING
    while name := _host_end(key):
        if time.monotonic() >= until:
            return f"its host end {name} lives, and so does its network namespace"
        time.sleep(_PAUSE)
    return ""


def _host_end(key: Key) -> str:
    with host_socket() as host:
        return next((i.name for i in state.veths(host) if i.nonce and pair.is_of(i.alias, key)), "")


def leads_there(path: str, endpoint: Endpoint) -> bool:
    """Whether a path leads to the namespace that the endpoint was attached in, as far as its number says."""
    return identity(path) == (endpoint.netns_dev, endpoint.netns_inode)


def _judged(host: netlink.Socket, endpoint: Endpoint, end: state.Interface | None) -> Life:
    path = endpoint.netns
    named = bool(path) and (leads_there(path, endpoint) or not may_look(path))  # what can't be looked at proves nothing
    if end is not None and end.nonce == endpoint.nonce and state.peer_lives(host, end):
        return Life.NAMED if named else Life.HIDDEN
    if named and _is_inside(endpoint):
        return Life.NAMED
    return Life.ELSEWHERE if is_from_elsewhere(endpoint) else Life.OVER


def is_from_elsewhere(endpoint: Endpoint) -> bool:
    """Whether another network namespace is its host: what this one has, or has not, proves nothing."""
    return endpoint.home not in ((0, 0), own_netns())


def _is_inside(endpoint: Endpoint) -> bool:
    """Whether the container's end is there, without a host end here: somebody may have moved that away."""
    try:
        with open_netns(endpoint.netns) as netns:
            return run_in(netns, lambda: _has_end(endpoint))
    except (CniError, OSError):
        return True  # that it can't be looked at proves nothing


def _has_end(endpoint: Endpoint) -> bool:
    with netlink.Socket() as socket:
        found = state.interface(socket, endpoint.key.ifname)
        return found is not None and found.kind == "veth" and found.mac == endpoint.mac
