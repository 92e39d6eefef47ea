"""A container's place in a network in; attached to it as netavark asks, or taken away from it, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.netavark.asked import Container
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.runtime.attachments import attach, detach, publishing, recorded, unpublish
from calico_rkt.plugin.runtime.networks import chain_of_network
from calico_rkt.plugin.runtime.wishes import Wishes


def setup(asked: Container, netns: str) -> Mapping[str, Any]:
    """Attach; what netavark wants to know of the interface. CniError where it is not attached: nothing is left then."""
    if asked.options:
        message = f"network {asked.key.network!r} takes no option {asked.options[0][:40]!r}"
        raise CniError(Code.UNSUPPORTED_FIELD, message, "ip, mac and interface_name are served")
    chain = chain_of_network(asked.key.network, ())
    wishes = Wishes(asked.ips, asked.mac, asked.ports if _publishes(chain, asked) else ())
    return _answer(asked.key, attach(chain, asked.key, netns, wishes).result)


def teardown(asked: Container) -> None:
    """Take away what setup made, whether or not the namespace is there; what never was is no error."""
    if not detach(asked.key):
        LOG.info("netavark: %s was not attached", asked.key)


def _publishes(chain: Chain, asked: Container) -> bool:
    """Whether the ports are this network's to publish: of those of a container that can, the first interface's does.

    netavark tells each network of a container all of its ports, and (1.x) goes through them in any order: what a later
    interface published is taken over.
    """
    if not asked.ports:
        return False
    if not chain.port_mappers:
        LOG.warning("network %r publishes no port (%s): its conf lists no portmap", chain.name, asked.ports[0])
        return False
    others = [key for key in publishing(asked.key.container) if key != asked.key]
    if not others:
        return True
    first, *later = sorted([asked.key, *others], key=_order)
    _say_which(first, later[0])
    if first == asked.key:
        for key in others:
            unpublish(key)
    return first == asked.key


def _say_which(first: Key, other: Key) -> None:
    """Podman 5 gives a container's interfaces their names in any order, so whose policy decides would be chance."""
    LOG.warning(
        "the ports are published by network %r (%s), whose policy decides on them, not by %r (%s): podman 5 may number "
        "them in any order; to choose: --network %s:interface_name=eth0",
        first.network,
        first.ifname,
        other.network,
        other.ifname,
        first.network,
    )


def _order(key: Key) -> tuple[int, str]:
    """eth0, eth1 ... eth10."""
    return len(key.ifname), key.ifname


def _answer(key: Key, result: Mapping[str, Any]) -> dict[str, Any]:
    """The words of netavark for a CNI result of any version."""
    listed = [ip for ip in result.get("ips") or () if isinstance(ip, dict)]
    found = [(ip.get("address"), ip.get("gateway")) for ip in listed]
    old = [result[k] for k in ("ip4", "ip6") if isinstance(result.get(k), dict)]
    found += [(part.get("ip"), part.get("gateway")) for part in old]
    dns = result.get("dns") or {}
    return {
        "dns_search_domains": dns.get("search") or [],
        "dns_server_ips": dns.get("nameservers") or [],
        "interfaces": {
            key.ifname: {
                "mac_address": _mac(key, result),
                "subnets": [{"ipnet": address, "gateway": gateway or None} for address, gateway in found],
            }
        },
    }


def _mac(key: Key, result: Mapping[str, Any]) -> str:
    """Results of CNI 0.2.0 and before have none, but our record has."""
    for interface in result.get("interfaces") or ():
        if isinstance(interface, dict) and interface.get("sandbox") and interface.get("name") == key.ifname:
            return str(interface.get("mac") or "")
    endpoint = recorded(key)
    return endpoint.mac if endpoint is not None else ""
