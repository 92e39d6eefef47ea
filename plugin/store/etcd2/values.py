"""Endpoints, pools and assignments in, what etcd holds of them out, and back: the JSON of 2015.

What this program has to know beside it stands in one key of its own, `calico_rkt`: Felix of 2015 passes over top-level
keys that it does not know, and nobody but the holder ever read an assignment's value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.errors import Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd2.client import Etcd2Node
from calico_rkt.plugin.store.protocol import BrokenEndpointError, checked_ifname

OURS = "calico_rkt"
USUAL_GATEWAY = "169.254.1.1"


def json_object(text: str) -> dict[str, Any]:
    """A stored object; an empty one where it is none."""
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def encode_value(of: object) -> str:
    return json.dumps(of, separators=(",", ":"))


def endpoint_fields(endpoint: Endpoint, gateways: Mapping[int, Address]) -> dict[str, Any]:
    """An endpoint as 2015 has it. Felix answers NDP for an ipv6_gateway, so the usual link-local one is not named."""
    nets = [f"{a}/{a.max_prefixlen}" for a in endpoint.addresses]
    four = {a.version for a in endpoint.addresses} >= {4}
    six = {a.version for a in endpoint.addresses} >= {6}
    return {
        "state": "active",
        "name": endpoint.host_ifname,
        "mac": endpoint.mac,
        "profile_ids": [object_id(endpoint.key.network)],
        "ipv4_nets": sorted(n for n in nets if ":" not in n),
        "ipv6_nets": sorted(n for n in nets if ":" in n),
        "ipv4_gateway": str(gateways.get(4, USUAL_GATEWAY)) if four else None,
        "ipv6_gateway": str(gateways[6]) if six and 6 in gateways else None,
    }


def endpoint_value(endpoint: Endpoint, gateways: Mapping[int, Address], boot: str) -> str:
    ours = {
        **_whose(endpoint),
        "netns": endpoint.netns,
        "netns_id": f"{boot} {endpoint.netns_dev} {endpoint.netns_inode}",
    }
    return encode_value({**endpoint_fields(endpoint, gateways), OURS: ours})


def assignment_value(endpoint: Endpoint, node: str) -> str:
    """What tells the holder of an address from the next one: 2015 left it empty."""
    return encode_value({"node": node, **_whose(endpoint)})


def _whose(endpoint: Endpoint) -> dict[str, str]:
    key = endpoint.key
    return {
        "network": key.network,
        "container": key.container,
        "interface": key.ifname,
        "attachment": endpoint.nonce,
    }


def nonce_of(text: str) -> str:
    """The nonce of the attachment that an endpoint or an assignment is of; empty when it is none of ours."""
    loaded = json_object(text)
    ours = loaded.get(OURS, loaded)
    return str(ours.get("attachment", "")) if isinstance(ours, dict) else ""


def node_of(text: str) -> str:
    """The node that an assignment is on; empty when it is none of ours."""
    return str(json_object(text).get("node", ""))


def holder_words(text: str) -> str:
    """Whose an assignment is, in words."""
    of = json_object(text)
    if not of.get("attachment"):
        return "another program"
    return f"{of.get('interface')} of container {of.get('container')} in network {of.get('network')!r}"


def read_endpoint(text: str, boot: str) -> Endpoint | None:
    """The attachment that a stored endpoint of ours is; None for others'. Of another boot, its netns is gone.

    BrokenEndpointError for one of ours that does not say all that it has to.
    """
    of = json_object(text)
    ours = of.get(OURS)
    if not isinstance(ours, dict) or not ours.get("attachment"):
        return None
    booted, _, place = str(ours.get("netns_id", "")).partition(" ")
    dev, _, inode = place.partition(" ")
    here = booted == boot and dev.isdecimal() and inode.isdecimal()
    try:
        nets = [*(of.get("ipv4_nets") or ()), *(of.get("ipv6_nets") or ())]
        return Endpoint(
            key=Key(str(ours["network"]), str(ours["container"]), str(ours["interface"])),
            nonce=str(ours["attachment"]),
            netns=str(ours.get("netns", "")),
            netns_dev=int(dev) if here else -1,
            netns_inode=int(inode) if here else -1,
            host_ifname=checked_ifname(of.get("name")),
            mac=str(of.get("mac", "")),
            addresses=tuple(ip_address(str(net).partition("/")[0]) for net in nets),
        )
    except (KeyError, ValueError, TypeError) as e:
        whose = f"{ours.get('interface')} of container {ours.get('container')} in network {ours.get('network')!r}"
        why = f"it lacks {e}" if isinstance(e, KeyError) else str(e)
        raise BrokenEndpointError(Code.DATASTORE, f"Calico's endpoint of ours for {whose} can't be read: {why}") from e


def profiles_of(text: str) -> tuple[str, ...]:
    """The profiles of a stored endpoint; the oldest plugins named one alone."""
    of = json_object(text)
    ids = of.get("profile_ids") or ([of["profile_id"]] if of.get("profile_id") else [])
    return tuple(str(i) for i in ids) if isinstance(ids, list) else ()


@dataclass(frozen=True, slots=True)
class Etcd2Pool:
    """A pool; name is its key's last part. problem says why no address may be taken from it, empty when one may."""

    name: str
    net: Net
    masquerade: bool
    created: int
    problem: str = ""


def read_pool(node: Etcd2Node) -> Etcd2Pool | None:
    """The pool; None where it is no pool that Calico could use either."""
    of = json_object(node.value)
    try:
        net = ip_network(of["cidr"])
    except (KeyError, ValueError, TypeError):
        return None
    problem = ""
    if of.get("disabled"):
        problem = "it is disabled"
    elif of.get("ipam") is False:
        problem = "it is not used for addresses (ipam: false)"
    return Etcd2Pool(node.name, net, bool(of.get("masquerade")), node.created, problem)


def pool_value(net: Net, *, masquerade: bool) -> str:
    """The pool that a conf's subnet becomes; Felix of 2015 masquerades IPv4 only, and looks at no other pools."""
    return encode_value({"cidr": str(net), **({"masquerade": True} if masquerade and net.version == 4 else {})})
