"""What nftables has to know of endpoints in; the elements that say it, as scripts, out. Nothing here has an effect."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import chain

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.link.groups import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.ir.model import ToHost

TABLE = "calico_rkt"
TRACING = f"{TABLE}_trace"
"""The table of a trace that goes on; it decides nothing."""
OURS = "crk*"
"""Host ends of veth pairs of ours; nothing else on a host may be called so."""

_IFNAME = re.compile(r"crk[0-9a-z]{1,12}\Z")
_ID = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class EndpointElements:
    """One endpoint as nftables sees it. network_id is what compiler.ids.object_id gave for its network."""

    host_ifname: str
    addresses: tuple[Address, ...]
    network_id: str
    ip_masq: bool = False

    def __post_init__(self) -> None:
        # Both come from our own hash and cleaning; a script must not be built from anything else.
        if not _IFNAME.match(self.host_ifname):
            raise ValueError(f"{self.host_ifname!r} is no host interface of ours")
        checked_id(self.network_id)

    @property
    def group(self) -> int:
        """The device group that its host end is in."""
        return group_of(self.network_id)


def checked_id(network_id: str) -> str:
    """The id itself, when it is one that can stand in a chain's name; ValueError otherwise."""
    if not _ID.match(network_id):
        raise ValueError(f"{network_id!r} is no network id")
    return network_id


_Pair = tuple[str, str]
"""A set's or map's name, and an element as nft writes it."""

CHAIN_OF_MAP = {"from_network": "out", "to_network": "in", "network_to_host": "host"}
"""The maps that lead from a device group to a network's chains, and which chain each leads to."""
_EARLIER_MAPS = ("from_endpoint", "to_endpoint", "to_host")
"""Of layouts before the third: an element an endpoint, by its interface's name."""


def _keys(endpoint: EndpointElements) -> tuple[_Pair, ...]:
    found: list[_Pair] = []
    for address in endpoint.addresses:
        found += [
            (f"m{address.version}-{endpoint.network_id}", str(address)),
            (f"all{address.version}", str(address)),
            (f"source{address.version}", f'"{endpoint.host_ifname}" . {address}'),
        ]
        if endpoint.ip_masq:
            found.append((f"masq{address.version}", str(address)))
    return tuple(found)


def verdicts(network_id: str) -> tuple[_Pair, ...]:
    """Which chains decide on packets of a network's device group; goto on purpose, where one expects jump.

    The base jumps to the chain `egress`, which looks the group up in `from_network` and drops what the map does not
    know. A network's chain says `return` for "allowed here, go on to the other end's say". Had it been reached by
    jump, that return would come back into `egress`, behind the lookup: to the drop. Without that drop a group
    that nobody knows would pass. Reached by goto, the network's chain stands in the place of `egress`, so its return
    goes back to where `egress` was jumped from, on to `ingress`; only a miss in the map comes to the drop. `ingress`
    with `to_network`, and `network_to_host`, are the same. docs/decisions/001-goto-in-the-verdict-maps.md
    """
    return tuple((name, f"{group_of(network_id)} : goto {kind}-{network_id}") for name, kind in CHAIN_OF_MAP.items())


def pairs(endpoint: EndpointElements) -> tuple[tuple[str, str], ...]:
    """Everything that the kernel holds of an endpoint: (set or map, element as nft writes it)."""
    return (*_keys(endpoint), _own(endpoint))


def _own(endpoint: EndpointElements) -> _Pair:
    """Its interface, in its network's group: in any other, nothing passes it."""
    return "endpoints", f'"{endpoint.host_ifname}" . {endpoint.group}'


def _script(verb: str, elements: Iterable[_Pair]) -> str:
    """One command a set: nft takes many elements in one command far faster than many commands."""
    by_set: dict[str, list[str]] = {}
    for name, element in elements:
        by_set.setdefault(name, []).append(element)
    return "".join(f"{verb} element inet {TABLE} {n} {{ {', '.join(e)} }}\n" for n, e in by_set.items())


def adding(endpoint: EndpointElements) -> str:
    """The script that lets an endpoint take part; needs the base and the network's chains."""
    return _script("add", pairs(endpoint))


def deleting(endpoint: EndpointElements, there: Collection[tuple[str, str]] | None = None) -> str:
    """The script that takes an endpoint out; it fails when one of the elements it names is not in the kernel.

    there: where given, the (set, key) pairs that are; all else is left out of the script, which may then be empty. What
    a table of an earlier layout has of the endpoint counts, too.
    """
    if there is None:
        return _script("delete", pairs(endpoint))
    earlier = ((name, f'"{endpoint.host_ifname}"') for name in _EARLIER_MAPS)
    return _script("delete", (k for k in (*pairs(endpoint), *earlier) if k in there))


def adding_all(endpoints: Sequence[EndpointElements], enforced: frozenset[str]) -> str:
    """The script for many endpoints. Those of networks outside `enforced` are known but closed.

    Closed: members of their network for others' rules, with a source check, and no chain, so that what opens a flow
    falls to the drop behind the maps. See also let_in().
    """
    closed = sorted({e.network_id for e in endpoints} - enforced)
    sets = "".join(
        f"add set inet {TABLE} m4-{i} {{ type ipv4_addr; }}\nadd set inet {TABLE} m6-{i} {{ type ipv6_addr; }}\n"
        for i in closed
    )
    known = (p for e in endpoints for p in _keys(e))
    return sets + _script("add", chain(known, map(_own, let_in(endpoints, enforced))))


def let_in(endpoints: Iterable[EndpointElements], enforced: Collection[str]) -> Iterator[EndpointElements]:
    """Those whose interface may be in the table: not where its group leads to the chains of another network.

    enforced: the networks that have chains; no two of them have one number (compiled.in_force).
    """
    groups = {group_of(i) for i in enforced}
    return (e for e in endpoints if e.network_id in enforced or e.group not in groups)


def to_host_script(network_id: str, verdict: ToHost) -> str:
    """The script of what a network has beside the nftables target's text: chain host-ID, and what leads to its chains.

    host-ID says what becomes of traffic to the host that its egress lets through. Idempotent, to be run with that text.
    """
    chain = f"chain inet {TABLE} host-{checked_id(network_id)}"
    rule = f"add rule inet {TABLE} host-{network_id} {verdict.value}"
    return f"add table inet {TABLE}\nadd {chain}\nflush {chain}\n{rule}\n" + _script("add", verdicts(network_id))


def unmapping(network_id: str) -> str:
    """The script that takes a network's group out of the maps, also where some of that is gone already."""
    found = verdicts(network_id)
    return _script("add", found) + _script("delete", ((name, e.partition(" : ")[0]) for name, e in found))


def ranges_script(ranges: Iterable[Net]) -> str:
    """The script that makes these, and nothing else, the ranges which masquerade spares. They may overlap."""
    nets = tuple(ranges)
    four = collapse_addresses(n for n in nets if isinstance(n, IPv4Network))
    six = collapse_addresses(n for n in nets if isinstance(n, IPv6Network))
    elements = [("pools4", str(n)) for n in four] + [("pools6", str(n)) for n in six]
    return f"flush set inet {TABLE} pools4\nflush set inet {TABLE} pools6\n" + _script("add", elements)
