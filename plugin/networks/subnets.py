"""Subnets as somebody typed them in, nets that a new network may have out; CniError with the way out for others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from calico_rkt.compiler.conf.ipam import NO_HOSTS
from calico_rkt.compiler.workspace.confs import is_conf_name
from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.host_networks import host_networks

Net = IPv4Network | IPv6Network
Taken = tuple[Net, str]

_FOREIGN = (Path("/etc/containers/networks"),)
"""Where other programs keep networks that may have no interface yet: podman's of netavark."""
_NEVER = (*NO_HOSTS[4], *NO_HOSTS[6], ip_network("240.0.0.0/4"))
"""Addresses that no container can have, and those that nobody gave to anybody."""
_USUAL = [ip_network(f"10.{second}.0.0/24") for second in range(91, 251)]
"""What is proposed, in this order."""


def parsed(words: Sequence[str]) -> list[Net]:
    """The nets, one a family at the most; CniError for what is none, or one that nobody can use."""
    nets: list[Net] = []
    for text in words:
        net = _net(text)
        if bad := next((n for n in _NEVER if n.version == net.version and n.overlaps(net)), None):
            raise _refusal(f"no container can have addresses of {bad}, which {text} holds", "such as 10.91.0.0/24")
        if net.num_addresses < 4:
            raise _refusal(
                f"{text} has no room for two containers", "a /24 of IPv4 has room for some 250, a /64 of IPv6 for all"
            )
        if any(n.version == net.version for n in nets):
            hint = "one IPv4 and one IPv6 subnet a network; more ranges are written into its conf"
            raise _refusal(f"{text} is a second subnet of IPv{net.version}", hint)
        nets.append(net)
    return nets


def _net(text: str) -> Net:
    if "/" not in text:
        raise _refusal(f"{text!r} is no subnet", "with the length of its prefix, such as 10.91.0.0/24 or fd00:91::/64")
    try:
        return ip_network(text)
    except ValueError:
        with suppress(ValueError):
            raise _refusal(
                f"{text} is an address in a subnet", f"the subnet is {ip_network(text, strict=False)}"
            ) from None
        raise _refusal(f"{text!r} is no subnet", "such as 10.91.0.0/24 or fd00:91::/64") from None


def refuse_taken(nets: Sequence[Net], taken: Sequence[Taken]) -> None:
    """CniError where a net overlaps one that is taken, with a free one of its size."""
    for net in nets:
        for other, whose in taken:
            if net.version == other.version and net.overlaps(other):
                near = _free_like(net, taken)
                hint = f"{near} is free" if near else "choose one that nothing here is in"
                raise _refusal(f"{net} overlaps {other}, {whose}", hint)


def free(taken: Sequence[Taken]) -> Net:
    """The first of the usual subnets that nothing here is in; CniError where there is none."""
    found = next((n for n in _USUAL if not _meets(n, taken)), None)
    if found is None:
        raise _refusal(f"none of {_USUAL[0]} to {_USUAL[-1]} is free", "name a subnet: calico-rkt init NAME SUBNET")
    return found


def _free_like(net: Net, taken: Sequence[Taken]) -> Net | None:
    if net.version == 4 and net.prefixlen == 24:
        return next((n for n in _USUAL if not _meets(n, taken)), None)
    after = int(net.network_address)
    for _ in range(256):
        after += net.num_addresses
        if after + net.num_addresses > 1 << net.max_prefixlen:
            return None
        near = type(net)((after, net.prefixlen))
        if not _meets(near, taken) and near.is_private and not any(n.overlaps(near) for n in _NEVER):
            return near
    return None


def _meets(net: Net, taken: Sequence[Taken]) -> bool:
    return any(net.version == other.version and net.overlaps(other) for other, _ in taken)


def taken_here() -> list[Taken]:
    """What this host is in, and what confs say, whoever serves them: each with words that name it."""
    found = [(net, f"which this host has on {ifname}") for net, ifname in host_networks()]
    for folder in (*HOST_FOLDERS, *_FOREIGN):
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                found += [(net, f"which is in {path}") for net in _subnets_of(path)]
    return found


def _subnets_of(path: Path) -> Iterator[Net]:
    """All that a JSON file calls a subnet; nothing of what is none, which is for check to tell."""
    if is_conf_name(path.name):
        with suppress(OSError, ValueError, RecursionError):
            yield from _said(json.loads(path.read_bytes()))


def _said(value: object) -> Iterator[Net]:
    if isinstance(value, list):
        for item in value:
            yield from _said(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "subnet" and isinstance(item, str):
                with suppress(ValueError):
                    yield ip_network(item, strict=False)
            else:
                yield from _said(item)


def _refusal(message: str, hint: str) -> CniError:
    return CniError(Code.INVALID_ENVIRONMENT, message, hint)
