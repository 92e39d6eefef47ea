"""The JSON of a netavark call in, checked values out: a network that is to be made, or a container's place in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from calico_rkt.plugin.cni.ports import PROTOCOLS, Port, is_port
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key


@dataclass(frozen=True, slots=True)
class Network:
    """A network as `podman network create` wants it; whole is netavark's own object, which is given back."""

    name: str
    whole: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """One interface of one container, and what was asked for it.

    ports are those of the container: each network of it is told all of them. options are the names of what people
    wrote behind the network's name and what is no wish that we know.
    """

    key: Key
    ips: tuple[str, ...] = ()
    mac: str = ""
    ports: tuple[Port, ...] = ()
    options: tuple[str, ...] = ()


def read_network(asked: Mapping[str, Any]) -> Network:
    """CniError 6 where the object is none of netavark's."""
    return Network(_text(asked, "name", "the network"), asked)


def read_container(asked: Mapping[str, Any]) -> Container:
    """CniError 6 where the object is none of netavark's; names are judged by who uses them."""
    options, network = _object(asked, "network_options"), _object(asked, "network")
    key = Key(
        _text(network, "name", "network"),
        _text(asked, "container_id", "the call"),
        _text(options, "interface_name", "network_options"),
    )
    ips = tuple(_address(ip) for ip in _list(options, "static_ips"))
    mac = options.get("static_mac") or ""
    if not isinstance(mac, str):
        raise _bad("static_mac is no string")
    ports = tuple(port for mapping in _list(asked, "port_mappings") for port in _ports(mapping))
    more = options.get("options") or {}
    if not isinstance(more, dict):
        raise _bad("the options of network_options are no object")
    return Container(key, ips, mac.lower(), ports, tuple(sorted(map(str, more))))


def _ports(mapping: object) -> Sequence[Port]:
    """The ports of one mapping, which may be a range, and of several protocols."""
    if not isinstance(mapping, dict):
        raise _bad("a port mapping is no object")
    host, inside, many = _number(mapping, "host_port"), _number(mapping, "container_port"), _number(mapping, "range", 1)
    if max(host, inside) + many > 65536:
        raise _bad(f"{many} ports from {max(host, inside)} on are more than there are")
    given, at = mapping.get("protocol") or "tcp", mapping.get("host_ip") or ""
    protocols = given.split(",") if isinstance(given, str) else []
    if not protocols or not set(protocols) <= set(PROTOCOLS):
        raise _bad(f"the protocol of a port mapping is {given!r}")
    where = _address(at) if at else ""
    return [Port(host + n, inside + n, protocol, where) for protocol in protocols for n in range(many)]


def _number(mapping: Mapping[str, Any], key: str, default: int = 0) -> int:
    value = mapping.get(key) or default
    if not is_port(value):
        raise _bad(f"{key} of a port mapping is {str(value)[:40]}, not 1 to 65535")
    return value


def _address(text: object) -> str:
    try:
        return str(ip_address(text)) if isinstance(text, str) else str(ip_address(""))
    except ValueError:
        raise _bad(f"{text!r} is no IP address") from None


def _text(found: Mapping[str, Any], key: str, where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise _bad(f"{where} has no {key}" if value in (None, "") else f"{key} of {where} is no string")
    return value


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    if not isinstance(value, dict):
        raise _bad(f"{key} is missing" if value is None else f"{key} is no object")
    return value


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    if value is not None and not isinstance(value, list):
        raise _bad(f"{key} is no list")
    return value or []


def _bad(why: str) -> CniError:
    return CniError(Code.DECODE, f"netavark's JSON can't be used: {why}")
