"""A Request in, the answer of the IPAM plugin that its conf names out: found along CNI_PATH, run as CNI says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_interface, ip_network
from pathlib import Path

from calico_rkt.compiler.conf.netconf import Address, Dns, Ipam, NetConf
from calico_rkt.compiler.typed import Any
from calico_rkt.compiler.values import replace
from calico_rkt.plugin.attach.patience import Patience
from calico_rkt.plugin.cni import program
from calico_rkt.plugin.cni.capabilities import VALID_ATTACHMENTS
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.cni.result import Given, Ip, Result, ResultRoute, given_in
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.log import LOG

OWN = "host-local"
"""The ipam type that this plugin serves itself, out of its datastore."""


class MissingError(CniError):
    """The program of an ipam plugin is in none of the folders: whatever it gave, nobody can take it back now."""


def is_delegated(conf: NetConf) -> bool:
    """Whether another program chooses the addresses of this network."""
    return conf.ipam.type != OWN


def _nothing() -> None: ...


def ipam_add(
    request: Request, before: Callable[[], object] = _nothing, undone: Callable[[], object] = _nothing
) -> tuple[Result, Given]:
    """Run the plugin's ADD; a Result of addresses, routes and dns, without interfaces, and what a DEL will need.

    before is called once the plugin is found, undone after the DEL of one that failed.

    CniError as the plugin gave it, or 108 when it isn't found or what it says is no result. The plugin's DEL has
    run then: it may have given an address before it failed (CNI specification, "Delegated Plugins").
    """
    plugin = _find(request)
    before()
    try:
        said = _run(plugin, request, "ADD")
        return _result(request.conf.ipam.type, said), Given(
            program.loaded(request.raw).get("ipam", {}),
            program.loaded(said),
            tuple(map(program.absolute, request.path)),
        )
    except CniError:
        try:
            with signals.undoing():
                _run(plugin, request, "DEL")
            undone()
        except CniError as e:
            LOG.error("ipam plugin %s: DEL after its failed ADD: %s: %s", request.conf.ipam.type, e.msg, e.details)
        raise


def ipam_del(request: Request, given: Given | None = None, *, most: float = 0) -> None:
    """Run the DEL of the plugin that gave the addresses, where that is known, else of the one in the conf.

    most: seconds that it may take; 0: no limit.
    """
    if given is None:
        return _delete(request, most)
    told = {**program.loaded(request.raw), "ipam": given.ipam}
    if request.prev_result:
        told["prevResult"] = given.said
    name = str(given.ipam.get("type", ""))
    conf = replace(request.conf, ipam=replace(request.conf.ipam, type=name))
    return _delete(replace(request, conf=conf, raw=json.dumps(told).encode()), most)


def delete_recorded(endpoint: Endpoint, patience: Patience) -> None:
    """Run the DEL that no runtime sends any more, of an endpoint whose addresses an ipam plugin gave."""
    given = given_in(endpoint.result)
    if given is None:
        return
    key, version = endpoint.key, str(given.said.get("cniVersion") or "0.4.0")
    raw = {"cniVersion": version, "name": key.network, "type": "calico", "ipam": given.ipam, "prevResult": given.said}
    conf = NetConf(key.network, "calico", version, Ipam(str(given.ipam.get("type", ""))))
    told = Request(
        "DEL", conf, json.dumps(raw).encode(), key.container, key.ifname, netns=endpoint.netns, path=given.path
    )
    with patience.asking(conf.ipam.type) as most:
        _delete(told, most)


def _delete(request: Request, most: float) -> None:
    _run(_find(request), request, "DEL", most=most)


def ipam_check(request: Request, given: Given | None = None) -> None:
    """Run the plugin's CHECK; its error is the answer.

    What it said itself at ADD is its prevResult: ours has neither its prefixes nor its gateways.
    """
    told = b""
    if given is not None and request.prev_result:
        told = json.dumps({**program.loaded(request.raw), "prevResult": given.said}).encode()
    _run(_find(request), request, "CHECK", told)


def ipam_gc(request: Request, valid: Iterable[tuple[str, str]]) -> None:
    """Run the plugin's GC (CNI 1.1.0); valid is container and interface of each attachment whose address is in use."""
    listed = [{"containerID": container, "ifname": ifname} for container, ifname in valid]
    told = {**program.loaded(request.raw), **dict.fromkeys(VALID_ATTACHMENTS, listed)}
    _run(_find(request), request, "GC", json.dumps(told).encode())


def ipam_status(request: Request) -> None:
    """Run the plugin's STATUS (CNI 1.1.0)."""
    _run(_find(request), request, "STATUS")


def _find(request: Request) -> Path:
    """The program's absolute path; relative entries of CNI_PATH count from the folder that we were started in."""
    name = request.conf.ipam.type
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise CniError(Code.INVALID_CONF, f"ipam.type {name!r} is no name of a plugin")
    if name == request.conf.type:
        raise CniError(Code.INVALID_CONF, f"ipam.type {name!r} is this plugin itself, which would call itself for ever")
    found = program.find(name, request.path)
    if found is not None:
        return found
    raise MissingError(
        Code.DELEGATE,
        f"the ipam plugin {name!r} is not in CNI_PATH",
        f"looked in {', '.join(request.path) or 'no folder: CNI_PATH is empty'}; host-local needs no other program",
    )


def _run(plugin: Path, request: Request, command: str, conf: bytes = b"", most: float = 0) -> bytes:
    """Run one verb with the conf as it came and the runtime's environment.

    conf: what stands in for the conf as it came. most: as program.run() has it.
    """
    environ = {**os.environ, **_environment(request), "CNI_COMMAND": command}
    who = f"ipam plugin {request.conf.ipam.type!r}"
    return program.run(who, [str(plugin)], environ, conf or request.raw, most=most)


def _environment(request: Request) -> dict[str, str]:
    """The call's own, which are not the agent's."""
    if not request.container:
        return {}
    return {
        "CNI_CONTAINERID": request.container,
        "CNI_NETNS": request.netns,
        "CNI_IFNAME": request.ifname,
        "CNI_PATH": ":".join(request.path),
    }


def _result(name: str, stdout: bytes) -> Result:
    """A result of any spec version: ip4 and ip6 up to 0.2.0, ips since."""
    loaded = program.loaded(stdout)
    try:
        old = [loaded[key] for key in ("ip4", "ip6") if loaded.get(key)]
        ips = [_ip(ip["address"], ip.get("gateway")) for ip in _list(loaded, "ips")]
        ips += [_ip(part["ip"], part.get("gateway")) for part in old]
        routes = [_route(route) for part in (loaded, *old) for route in _list(part, "routes")]
        dns = _dns(loaded.get("dns") or {})
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CniError(
            Code.DELEGATE, f"ipam plugin {name!r} gave what is no CNI result: {e}", program.shown(stdout)
        ) from e
    if not ips:
        raise CniError(Code.DELEGATE, f"ipam plugin {name!r} gave no address", program.shown(stdout))
    _refuse_impossible(name, [ip_interface(ip.address).ip for ip in ips])
    return Result(interfaces=(), ips=tuple(ips), routes=tuple(routes), dns=dns)


def _refuse_impossible(name: str, given: Sequence[Address]) -> None:
    for address in given:
        if given.count(address) > 1:
            raise CniError(Code.DELEGATE, f"ipam plugin {name!r} gave {address} more than once")
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            raise CniError(Code.DELEGATE, f"ipam plugin {name!r} gave {address}, which no interface can have")


def _ip(address: str, gateway: str | None) -> Ip:
    return Ip(str(ip_interface(_text(address))), 0, _text(gateway or ""))


def _route(route: Mapping[str, Any]) -> ResultRoute:
    return ResultRoute(str(ip_network(_text(route["dst"]), strict=False)), _text(route.get("gw") or ""))


def _dns(dns: Mapping[str, Any]) -> Dns:
    return Dns(
        nameservers=_texts(dns.get("nameservers")),
        domain=_text(dns.get("domain") or ""),
        search=_texts(dns.get("search")),
        options=_texts(dns.get("options")),
    )


def _texts(values: Sequence[str] | None) -> tuple[str, ...]:
    if not isinstance(values, list | None):
        raise TypeError(f"{values!r} is no list")
    return tuple(_text(v) for v in values or ())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no string")
    return value


def _list(loaded: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = loaded.get(key) or []
    if not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    return found
