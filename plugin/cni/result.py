"""A CNI result or error as a value in, the JSON of any spec version out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from calico_rkt.compiler.conf.netconf import NO_DNS, SUPPORTED_VERSIONS, Dns
from calico_rkt.compiler.typed import Any
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.errors import CniError, Code

_ASKED_TOGETHER = 4
"""Texts of records that are kept as what they say: those of calls at the same time."""
NEWEST = SUPPORTED_VERSIONS[-1]
"""The newest version of the CNI specification that results and errors are written in."""


@dataclass(frozen=True, slots=True)
class ResultInterface:
    """One interface of a result; sandbox is the netns path, empty at the host's end."""

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Ip:
    """One address of the container with its prefix length as in `10.1.0.1/32`; interface indexes interfaces."""

    address: str
    interface: int
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class ResultRoute:
    """A route in the container; gw is empty where the conf gave none."""

    dst: str
    gw: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What an ADD gives back, independent of the spec version that it is printed in."""

    interfaces: tuple[ResultInterface, ...]
    ips: tuple[Ip, ...]
    routes: tuple[ResultRoute, ...] = ()
    dns: Dns = NO_DNS

    def to_json(self, cni_version: str) -> dict[str, Any]:
        """The result object in one spec version's shape (CNI specification, "Success" and its history)."""
        if cni_version in ("0.1.0", "0.2.0"):
            return self._legacy(cni_version)
        out: dict[str, Any] = {"cniVersion": cni_version}
        newest = cni_version not in ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
        out["interfaces"] = [_interface(i, with_mtu=newest) for i in self.interfaces]
        out["ips"] = [_ip(ip, with_version=cni_version.startswith("0.")) for ip in self.ips]
        if self.routes:
            out["routes"] = [_route(r) for r in self.routes]
        out["dns"] = _dns(self.dns)
        return out

    def _legacy(self, cni_version: str) -> dict[str, Any]:
        """Up to 0.2.0: one address a family; what does not fit in there is an error of the caller."""
        out: dict[str, Any] = {"cniVersion": cni_version}
        for ip in self.ips:
            key = "ip6" if ":" in ip.address else "ip4"
            if key in out:
                raise CniError(
                    Code.INVALID_CONF,
                    f"cniVersion {cni_version} has room for one {key} address, the conf asks for more",
                )
            out[key] = {"ip": ip.address, **({"gateway": ip.gateway} if ip.gateway else {})}
            routes = [_route(r) for r in self.routes if (":" in r.dst) == (":" in ip.address)]
            if routes:
                out[key]["routes"] = routes
        out["dns"] = _dns(self.dns)
        return out


def _interface(interface: ResultInterface, *, with_mtu: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": interface.name}
    if interface.mac:
        out["mac"] = interface.mac
    if interface.sandbox:
        out["sandbox"] = interface.sandbox
    if with_mtu and interface.mtu:
        out["mtu"] = interface.mtu
    return out


def _ip(ip: Ip, *, with_version: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"address": ip.address, "interface": ip.interface}
    if with_version:
        out["version"] = "6" if ":" in ip.address else "4"
    if ip.gateway:
        out["gateway"] = ip.gateway
    return out


def _route(route: ResultRoute) -> dict[str, Any]:
    return {"dst": route.dst, "gw": route.gw} if route.gw else {"dst": route.dst}


def _dns(dns: Dns) -> dict[str, Any]:
    fields = {
        "nameservers": dns.nameservers,
        "domain": dns.domain,
        "search": dns.search,
        "options": dns.options,
    }
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items() if v}


@dataclass(frozen=True, slots=True)
class Given:
    """What a delegated ipam plugin was asked with, the conf's ipam object, what it said, a CNI result, and where it is.

    path: CNI_PATH's folders, absolute.
    """

    ipam: Mapping[str, Any]
    said: Mapping[str, Any]
    path: tuple[str, ...] = ()


def stored(result: Mapping[str, object], given: Given | None, table: int = 0) -> str:
    """What a record keeps of an ADD, as JSON: the result in the newest shape, whose addresses these are, its table.

    table: the one in the container that rules lead to, or 0.
    """
    more: dict[str, Any] = {"ipam": {"conf": given.ipam, "said": given.said, "path": given.path}} if given else {}
    return json.dumps({**result, **more, **({"table": table} if table else {})})


def has_table(text: str) -> bool:
    """Whether rules in the container may lead to a table: an ADD that was cut short has stored nothing."""
    return not is_whole(text) or "table" in _loaded(text)


def is_whole(text: str) -> bool:
    """Whether a finished ADD's result can be read from a record."""
    try:
        return bool(text and from_json(text))
    except CniError:
        return False


def given_in(text: str) -> Given | None:
    """Whose addresses those of an ADD are that was stored as text; None where they are ours."""
    with _damage():
        found = _loaded(text).get("ipam") if text else None
        return Given(dict(found["conf"]), dict(found["said"]), tuple(found["path"])) if found else None


@lru_cache(maxsize=_ASKED_TOGETHER)
def from_json(text: str) -> Result:
    """The Result whose to_json(NEWEST) was stored as text; CniError 5 where it can't be read."""
    with _damage():
        loaded = _loaded(text)
        interfaces, ips, routes = loaded["interfaces"], loaded["ips"], loaded.get("routes", ())
        return Result(
            interfaces=tuple(
                ResultInterface(i["name"], i.get("mac", ""), i.get("sandbox", ""), i.get("mtu", 0)) for i in interfaces
            ),
            ips=tuple(Ip(i["address"], i["interface"], i.get("gateway", "")) for i in ips),
            routes=tuple(ResultRoute(r["dst"], r.get("gw", "")) for r in routes),
            dns=_dns_from(loaded.get("dns", {})),
        )


@lru_cache(maxsize=_ASKED_TOGETHER)
def _loaded(text: str) -> Mapping[str, Any]:
    """Nobody changes it: a DEL asks the text of its record four things."""
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        why = f"it lacks {e}" if isinstance(e, KeyError) else str(e)
        raise CniError(Code.IO, "the recorded result of the ADD is damaged", f"{why}; a DEL takes it away") from e


def gateways_in(text: str) -> dict[int, IPv4Address | IPv6Address]:
    """The gateways of a stored Result by IP version, as far as they are not the usual ones; none in an empty one."""
    with _damage():
        found = [ip_address(ip.gateway) for ip in from_json(text).ips if ip.gateway] if text else []
    return {gateway.version: gateway for gateway in found}


def _dns_from(given: Mapping[str, Any]) -> Dns:
    return Dns(
        nameservers=tuple(given.get("nameservers", ())),
        domain=given.get("domain", ""),
        search=tuple(given.get("search", ())),
        options=tuple(given.get("options", ())),
    )
