"""A network that podman is to know in; the same with what the host's conf of that name says of it, out."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.workspace.host import host_confs
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.netavark.asked import Network
from calico_rkt.plugin.runtime.networks import chain_of_network

IPAM = "calico"
"""Any word that podman does not know: addresses are ours then, else it would choose them itself."""


def create(network: Network) -> Mapping[str, Any]:
    """CniError 7 where no conf has the name, or where what was asked for isn't what its conf says.

    Nothing is made: the conf is the network, and podman keeps a file of its own with the answer.
    """
    conf = _conf_of(network.name)
    whole = network.whole
    _refuse_what_the_conf_says(network, conf)
    subnets = list(dict.fromkeys(str(r.subnet) for ranges in conf.ipam.ranges for r in ranges))
    given = whole.get("ipam_options")
    return {
        **whole,
        "subnets": [{"subnet": s} for s in subnets],
        "ipv6_enabled": any(":" in s for s in subnets),
        "dns_enabled": False,
        "ipam_options": {**(given if isinstance(given, dict) else {}), "driver": IPAM},
    }


def _conf_of(name: str) -> NetConf:
    confs = host_confs((), os.environ)
    if name in confs.known:
        return confs.known[name]
    near = difflib.get_close_matches(name, confs.paths, 1)
    try:
        chain_of_network(name, ())
    except CniError as e:
        meant = f"did you mean {near[0]}? " if near else ""
        way_out = f"{meant}podman network create --driver calico NAME takes the name of a conf; {e.details}"
        raise CniError(e.code, e.msg, way_out) from e
    raise CniError(Code.TRY_AGAIN, f"the conf of network {name!r} came to be while it was looked for")


def _refuse_what_the_conf_says(network: Network, conf: NetConf) -> None:
    whole, name = network.whole, network.name
    if whole.get("internal"):
        way_out = f"leave --internal out, and write what {name} may reach into its override: `egress`"
        raise CniError(Code.UNSUPPORTED_FIELD, "whether a network is internal is policy", way_out)
    own = [r.subnet for ranges in conf.ipam.ranges for r in ranges]
    for given in _entries(whole, "subnets"):
        _refuse_subnet(given, name, [str(s) for s in own])
    if whole.get("ipv6_enabled") and not any(s.version == 6 for s in own):
        way_out = "leave --ipv6 out, or give the conf an IPv6 range"
        raise CniError(Code.UNSUPPORTED_FIELD, f"the conf of network {name!r} has no IPv6 range", way_out)
    ipam = whole.get("ipam_options")
    driver = ipam.get("driver") if isinstance(ipam, dict) else None
    if driver not in (None, "", IPAM):
        message = f"addresses of network {name!r} come from its conf, not from podman's {str(driver)[:40]!r}"
        raise CniError(Code.UNSUPPORTED_FIELD, message, "leave --ipam-driver out")
    options = whole.get("options")
    if isinstance(options, dict) and options:
        message = f"network {name!r} takes no option {next(iter(options))[:40]!r}"
        raise CniError(Code.UNSUPPORTED_FIELD, message, "leave --opt out: what a network is stands in its conf")
    for key, option in (("routes", "--route"), ("network_interface", "--interface-name")):
        if whole.get(key):
            message = f"{option} is not served: what network {name!r} is stands in its conf"
            raise CniError(Code.UNSUPPORTED_FIELD, message, f"leave {option} out")


def _refuse_subnet(given: object, name: str, own: Sequence[str]) -> None:
    found = given if isinstance(given, dict) else {}
    subnet = str(found.get("subnet") or "")
    try:
        said = str(ip_network(subnet, strict=False))
    except ValueError:
        said = ""
    if said not in own:
        message = f"the conf of network {name!r} has {', '.join(own) or 'no subnet of its own'}, not {subnet!r}"
        raise CniError(Code.UNSUPPORTED_FIELD, message, "leave --subnet out: the conf's count")
    for key, option in (("gateway", "--gateway"), ("lease_range", "--ip-range")):
        if found.get(key):
            message = f"{option} is not served: the conf of network {name!r} says which addresses it gives"
            raise CniError(Code.UNSUPPORTED_FIELD, message, f"leave {option} out")


def _entries(whole: Mapping[str, Any], key: str) -> list[Any]:
    found = whole.get(key) or []
    if not isinstance(found, list):
        raise CniError(Code.DECODE, f"netavark's JSON can't be used: {key} is no list")
    return found
