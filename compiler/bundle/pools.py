"""An IPPool's document in, the Pool out where Calico would take it (libcalico-go/lib/validator/v3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from calico_rkt.compiler.bundle.resources import IPPool
from calico_rkt.compiler.bundle.write import SPEC
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.ir.selector_parser import SelectorError, parse_selector
from calico_rkt.compiler.targets.yaml_values import Value

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LONGEST_NAME = 253
_MODES = ("Never", "Always", "CrossSubnet")
_WORDS = {
    "vxlanMode": _MODES,
    "ipipMode": _MODES,
    "allowedUses": ("Workload", "Tunnel", "LoadBalancer"),
    "assignmentMode": ("Automatic", "Manual"),
}
_SWITCHES = ("natOutgoing", "disabled", "disableBGPExport")
_SELECTORS = ("nodeSelector", "namespaceSelector")
_BLOCKS = {4: range(20, 33), 6: range(116, 129)}


def read_pool(name: str, top: dict[str, Value], problem: Callable[[str], Diagnostic]) -> IPPool:
    """The pool of a document; CompileError with everything that Calico would refuse, put in words by problem."""
    spec = top.get("spec")
    if not isinstance(spec, dict):
        raise CompileError([problem("there is no spec")])
    said: dict[str, Value] = {key: value for key, value in spec.items() if value not in (None, "", [], False)}
    net = _net(said.get("cidr"))
    found = [problem(message) for message in _problems(name, top, said, net)]
    if net is None or found:
        raise CompileError(found)
    names = dict(SPEC)
    values = {names[key]: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    return IPPool(name, **{**values, "cidr": net})  # type: ignore[arg-type]  # _problems has looked at each


def _problems(
    name: str, top: dict[str, Value], said: dict[str, Value], net: IPv4Network | IPv6Network | None
) -> Iterator[str]:
    if len(name) > _LONGEST_NAME or not _NAME.match(name):
        yield "its name is none that Calico takes"
    for where, keys, known in (
        ("", top, {"apiVersion", "kind", "metadata", "spec", "status"}),
        ("spec.", said, {key for key, _ in SPEC}),
    ):
        yield from (f"unknown key {where}{key}" for key in sorted(set(keys) - known))
    if net is None:
        yield f"cidr {said.get('cidr')!r} is no network in CIDR form"
        return
    for key in _SWITCHES:
        if not isinstance(said.get(key, False), bool):
            yield f"{key} is {said[key]!r}, not true or false"
    for key, words in _WORDS.items():
        yield from _strange(key, said.get(key), words)
    for key in _SELECTORS:
        yield from _selector(key, said.get(key))
    size = said.get("blockSize")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size not in _BLOCKS[net.version]):
        most = _BLOCKS[net.version]
        yield f"blockSize {size!r} is not from {most[0]} to {most[-1]}"
    elif isinstance(size, int) and size < net.prefixlen:
        yield f"a block of /{size} is larger than the pool"
    if net.version == 6 and said.get("ipipMode", "Never") != "Never":
        yield "IPv6 has no ipipMode"
    if "Never" not in (said.get("ipipMode", "Never"), said.get("vxlanMode", "Never")):
        yield "ipipMode and vxlanMode at once"


def _strange(key: str, value: Value, words: Collection[str]) -> Iterator[str]:
    several = key == "allowedUses"
    given = value if several and isinstance(value, list) else [] if value is None else [value]
    for word in given:
        if not isinstance(word, str) or word not in words:
            yield f"{key} {word!r} is none of {', '.join(words)}"


def _selector(key: str, value: Value) -> Iterator[str]:
    if value is None:
        return
    try:
        parse_selector(value if isinstance(value, str) else "")
    except SelectorError as e:
        yield f"{key}: {e}"


def _net(value: Value) -> IPv4Network | IPv6Network | None:
    if not isinstance(value, str) or "/" not in value:
        return None
    try:
        return ip_network(value)
    except ValueError:
        return None
