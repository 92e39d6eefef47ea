"""CNI_ARGS and a conf as JSON in; what a call asks for beside its conf out: addresses, MAC, DNS, GC's list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_interface

from calico_rkt.compiler.conf.netconf import Address, Dns
from calico_rkt.compiler.typed import Any
from calico_rkt.compiler.values import replace
from calico_rkt.plugin.errors import CniError, Code

VALID_ATTACHMENTS = ("cni.dev/valid-attachments", "cni.dev/attachments")
"""GC's list; the second name is what some runtimes wrote before the specification settled, libcni writes both."""

_MAC = re.compile(
    r"[0-9a-f]{2}(?:(:[0-9a-f]{2}){5}|(-[0-9a-f]{2}){5})\Z|[0-9a-f]{4}(\.[0-9a-f]{4}){2}\Z", re.IGNORECASE
)
"""The three ways in which people write one, which CNI's own plugins read, too."""


def wishes(environ: Mapping[str, str], loaded: Mapping[str, Any]) -> tuple[tuple[Address, ...], str]:
    """Addresses and MAC that were asked for; unknown keys of CNI_ARGS are skipped, since rkt passes users' own."""
    if not (environ.get("CNI_ARGS") or loaded.get("runtimeConfig") or loaded.get("args")):
        return (), ""
    args = dict(_cni_args(environ.get("CNI_ARGS", "")))
    runtime = {k.lower(): v for k, v in _object(loaded, "runtimeConfig").items()}
    own = _object(_object(loaded, "args"), "cni")
    ips = runtime.get("ips") or own.get("ips") or [p for p in args.get("IP", "").split(",") if p]
    if not isinstance(ips, list):
        raise CniError(Code.INVALID_CONF, "ips must be a list of addresses")
    mac = runtime.get("mac") or own.get("mac") or args.get("MAC", "")
    return tuple(_address(ip) for ip in ips), _mac(mac) if mac else ""


def _mac(text: object) -> str:
    """In the kernel's words: `aa:bb:cc:dd:ee:ff`."""
    if not isinstance(text, str) or not _MAC.match(text) or int(text[:2], 16) & 1:
        raise CniError(Code.INVALID_CONF, f"{text!r} is no MAC address of an interface")
    digits = text.lower().translate({ord(sign): None for sign in ":-."})
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def given_dns(of_conf: Dns, loaded: Mapping[str, Any]) -> Dns:
    """Each field that the capability dns gives stands in for the conf's (CNI's CONVENTIONS: servers and searches)."""
    if not loaded.get("runtimeConfig"):
        return of_conf
    runtime = {k.lower(): v for k, v in _object(loaded, "runtimeConfig").items()}
    given = {k.lower(): v for k, v in _object(runtime, "dns").items()}
    if not given:
        return of_conf
    names = {"servers": "nameservers", "nameservers": "nameservers", "searches": "search", "search": "search"}
    fields: dict[str, Any] = {}
    for key, field in {**names, "options": "options"}.items():
        value = given.get(key)
        if not isinstance(value, list | None) or not all(isinstance(v, str) and v.isprintable() for v in value or ()):
            raise CniError(Code.INVALID_CONF, f"{key} of the capability dns must be a list of strings")
        if value:
            fields[field] = tuple(value)
    return replace(of_conf, **fields)


def _address(text: object) -> Address:
    try:
        return ip_interface(text if isinstance(text, str) else "").ip
    except ValueError:
        raise CniError(Code.INVALID_CONF, f"the requested address {text!r} is no IP address") from None


def _cni_args(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(";"):
        key, equals, value = part.partition("=")
        if part and not equals:
            raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_ARGS holds {part[:40]!r}, which is no KEY=VALUE")
        if part:
            pairs.append((key, value))
    return pairs


def _object(loaded: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = loaded.get(key) or {}
    if not isinstance(value, dict):
        raise CniError(Code.INVALID_CONF, f"{key} must be an object")
    return value


def listed_attachments(loaded: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """GC's list; a missing one is empty, as libcni hands on a nil one: more than the dead is never freed anyway."""
    found: list[tuple[str, str]] = []
    for key in VALID_ATTACHMENTS:
        listed = loaded.get(key)
        try:
            if not isinstance(listed, list | None):
                raise TypeError
            found += [(_word(a["containerID"]), _word(a["ifname"])) for a in listed or ()]
        except (TypeError, KeyError):
            raise CniError(Code.INVALID_CONF, f"{key} must be a list of containerID and ifname") from None
    return tuple(dict.fromkeys(found))


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
