"""A CNI call's environment and stdin in, a checked Request out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from calico_rkt.compiler.conf.netconf import NO_DNS, SUPPORTED_VERSIONS, Address, Dns, Ipam, NetConf
from calico_rkt.compiler.conf.parse import ETCD_VARIABLES, parse_conf
from calico_rkt.compiler.conf.shape import LARGEST_CONF
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, render_diagnostics
from calico_rkt.compiler.typed import Any, BinaryIO
from calico_rkt.compiler.values import dataclass, replace
from calico_rkt.plugin.cni.capabilities import given_dns, listed_attachments, wishes
from calico_rkt.plugin.errors import CniError, Code

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS")
"""Every verb that reads a conf; VERSION is answered before stdin is touched."""

_REMEMBERED = 1 << 14
"""Bytes of the largest conf whose reading is kept in memory."""
_NEEDS_CONTAINER = ("ADD", "DEL", "CHECK")
_WHERE = ("name", "type", "cniVersion", "datastore_type", "nodename")
_TAKING_AWAY = ("DEL", "GC")
_SINCE = {"CHECK": (0, 4, 0), "GC": (1, 1, 0), "STATUS": (1, 1, 0)}
_EVERY = ("all", "default")
"""Where the kernel keeps what holds for every interface, so that none can be called so."""
_NOT_IN_A_NAME = re.compile(r"[/:%\s\x00]")
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a runtime. path is CNI_PATH split at its colons; attachments is GC's list of those to keep.

    requested and mac come from the capabilities `ips` and `mac`, `args.cni`, or CNI_ARGS, in this order; dns from the
    capability, where it gives something, and from the conf. Only an ADD has wishes: nothing else is refused for them.
    prev_result is the conf's prevResult object as JSON text, empty when there is none. nonce and netns_fd come from
    the launcher where the agent serves: the attachment's nonce, and netns as the launcher has opened it (else -1).
    """

    command: str
    conf: NetConf
    raw: bytes
    container: str = ""
    ifname: str = ""
    netns: str = ""
    path: tuple[str, ...] = ()
    requested: tuple[Address, ...] = ()
    mac: str = ""
    dns: Dns = NO_DNS
    prev_result: str = ""
    attachments: tuple[tuple[str, str], ...] | None = None
    warnings: tuple[Diagnostic, ...] = ()
    nonce: str = ""
    netns_fd: int = -1


class RequestError(CniError):
    """A call that is refused; cni_version is what the conf asked for, or the newest where we don't speak that."""

    def __init__(self, cause: CniError, cni_version: str) -> None:
        super().__init__(cause.code, cause.msg, cause.details)
        self.cni_version = cni_version


def read_stdin(stream: BinaryIO) -> bytes:
    """All of stdin up to LARGEST_CONF bytes; CniError 7 when there is more."""
    data = stream.read(LARGEST_CONF + 1)
    if len(data) > LARGEST_CONF:
        raise CniError(Code.INVALID_CONF, f"the network conf on stdin is larger than {LARGEST_CONF} bytes")
    return data


def parse_request(environ: Mapping[str, str], stdin: bytes, nonce: str = "", netns_fd: int = -1) -> Request:
    """Check a call completely, before anything is done; RequestError names the first problem, details hold all."""
    version = "0.1.0"
    try:
        command = _command(environ)
        loaded = _load(stdin)
        asked = _spec_version(loaded)
        version = asked if asked in SUPPORTED_VERSIONS else SUPPORTED_VERSIONS[-1]
        if asked != version:
            raise CniError(
                Code.INCOMPATIBLE_VERSION,
                f"incompatible CNI version {asked[:40]!r}",
                f"this plugin speaks {', '.join(SUPPORTED_VERSIONS)}",
            )
        if command in _SINCE and _numbers(version) < _SINCE[command]:
            since = ".".join(map(str, _SINCE[command]))
            raise CniError(Code.INCOMPATIBLE_VERSION, f"{command} needs cniVersion {since} or newer, not {version}")
        conf, warnings = _conf(stdin, environ, loaded if command in _TAKING_AWAY else None)
        return _request(command, environ, conf, stdin, loaded, warnings, nonce, netns_fd)
    except CniError as e:
        raise RequestError(e, version) from e


def _command(environ: Mapping[str, str]) -> str:
    command = environ.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        what = f"{command[:40]!r} is none" if command else "it is missing"
        raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_COMMAND must be one of {', '.join(COMMANDS)}, VERSION: {what}")
    return command


def _load(stdin: bytes) -> Mapping[str, Any]:
    """The conf as a JSON object, only to learn its version; parse_conf reports what is wrong with it."""
    return (_loaded if len(stdin) <= _REMEMBERED else _loaded.__wrapped__)(stdin)


@lru_cache(maxsize=64)
def _loaded(stdin: bytes) -> Mapping[str, Any]:
    try:
        loaded = json.loads(stdin)
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _spec_version(loaded: Mapping[str, Any]) -> str:
    version = loaded.get("cniVersion") or "0.1.0"
    if not isinstance(version, str):
        raise CniError(Code.INVALID_CONF, "cniVersion must be a string")
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _conf(
    stdin: bytes, environ: Mapping[str, str], taking_away: Mapping[str, Any] | None
) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    """The conf; what only attaches need not hold where something is taken away: it may have changed since the ADD."""
    etcd = tuple([(k, environ[k]) for k in ETCD_VARIABLES if k in environ])
    try:
        return (_parsed if len(stdin) <= _REMEMBERED else _parsed.__wrapped__)(stdin, etcd)
    except CompileError as e:
        if not taking_away:
            raise conf_error(e) from e
        try:
            return _needed_to_take_away(taking_away, dict(etcd)), e.diagnostics
        except CompileError:
            raise conf_error(e) from e


def _needed_to_take_away(loaded: Mapping[str, Any], environ: Mapping[str, str]) -> NetConf:
    """Whose network it is, where its record is, and who gave the addresses; CompileError where that can't be read."""
    ipam = loaded.get("ipam")
    given = ipam.get("type") if isinstance(ipam, dict) else None
    kind = given if isinstance(given, str) and given else "host-local"
    kept = {k: v for k, v in loaded.items() if k in _WHERE or k.startswith("etcd_")}
    conf, _ = parse_conf(json.dumps({**kept, "ipam": {"type": "none"}}).encode(), "<stdin>", environ=environ)
    return replace(conf, ipam=Ipam(kind))


@lru_cache(maxsize=64)
def _parsed(stdin: bytes, etcd: tuple[tuple[str, str], ...]) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    """A runtime sends the same conf for every container of a network; an error is found anew each time."""
    return parse_conf(stdin, "<stdin>", environ=dict(etcd))


def conf_error(error: CompileError) -> CniError:
    """The CniError for a conf that does not parse (CR1xx: code 6) or does not hold (code 7)."""
    errors = [d for d in error.diagnostics if d.is_error]
    code = Code.DECODE if errors[0].code.startswith("CR1") else Code.INVALID_CONF
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return CniError(code, errors[0].message + more, render_diagnostics(errors).rstrip("\n"))


def _request(
    command: str,
    environ: Mapping[str, str],
    conf: NetConf,
    stdin: bytes,
    loaded: Mapping[str, Any],
    warnings: tuple[Diagnostic, ...],
    nonce: str,
    netns_fd: int,
) -> Request:
    container, ifname, netns = "", "", environ.get("CNI_NETNS", "")
    if command in _NEEDS_CONTAINER:
        container = _container(environ)
        ifname = _ifname(environ, command)
        if not netns and command != "DEL":
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_NETNS is missing")
        if "\0" in netns or "\n" in netns:
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_NETNS is no path")
        if command != "DEL" and not netns.isascii() and any("\ud800" <= c <= "\udfff" for c in netns):
            raise CniError(Code.INVALID_ENVIRONMENT, "CNI_NETNS is no text in UTF-8", ascii(netns))
    previous = loaded.get("prevResult")
    if command in _TAKING_AWAY and not isinstance(previous, dict):
        previous = None  # an endpoint is taken away by its record
    if previous is not None and not isinstance(previous, dict):
        raise CniError(Code.INVALID_CONF, "prevResult must be an object")
    if previous and command == "ADD":
        raise CniError(
            Code.INVALID_CONF,
            "calico must be the first plugin of its list, but the conf carries a prevResult",
        )
    requested, mac = wishes(environ, loaded) if command == "ADD" else ((), "")
    return Request(
        command=command,
        conf=conf,
        raw=stdin,
        container=container,
        ifname=ifname,
        netns=netns,
        path=tuple([p for p in environ.get("CNI_PATH", "").split(":") if p]),
        requested=requested,
        mac=mac,
        dns=given_dns(conf.dns, loaded) if command == "ADD" else conf.dns,
        prev_result=json.dumps(previous) if previous else "",
        attachments=listed_attachments(loaded) if command == "GC" else None,
        warnings=warnings,
        nonce=nonce,
        netns_fd=netns_fd,
    )


def _container(environ: Mapping[str, str]) -> str:
    container = environ.get("CNI_CONTAINERID", "")
    if not container:
        raise CniError(Code.INVALID_ENVIRONMENT, "CNI_CONTAINERID is missing")
    if not _CONTAINER_ID.match(container):
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"CNI_CONTAINERID {container[:80]!r} is not allowed",
            "it starts with a letter or digit and holds letters, digits, '_', '.' and '-' only",
        )
    return container


def _ifname(environ: Mapping[str, str], command: str) -> str:
    ifname = environ.get("CNI_IFNAME", "")
    if not ifname:
        raise CniError(Code.INVALID_ENVIRONMENT, "CNI_IFNAME is missing")
    # What an ADD was refused for is no hindrance to the DEL behind it.
    if (why := no_ifname(ifname)) and not (command == "DEL" and ifname in _EVERY):
        raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_IFNAME {why}")
    return ifname


def no_ifname(name: str) -> str:
    """Why no interface is called so, or nothing. CNI: 1 to 15 bytes, not `.` or `..`, no slash, colon white space."""
    if len(name.encode("utf-8", "surrogateescape")) > 15:
        return f"{name[:40]!r} is longer than 15 bytes"
    # The kernel takes `%` for the place of a number of its choice.
    if name in ("", ".", "..") or _NOT_IN_A_NAME.search(name) or not name.isprintable():
        return f"{name!r} is no name of an interface"
    if name in _EVERY:
        return f"{name!r} means every interface to the kernel, and none is called so"
    return ""
