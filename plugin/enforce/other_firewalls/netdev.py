"""nft's listing of a table in; its chains at ingress or egress of host ends of ours that may drop packets, out.

Such a chain is below the hooks of our table: what it drops comes to no rule of ours, or is sent to nobody. It is not
judged by packets: it is named where a rule of its may drop, or its policy does. Read is the text, since the JSON of
nft 1.0.6 does not say the devices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CHAIN = re.compile(r"chain (?P<name>\S+) \{(?P<body>(?:[^{}]|\{[^{}]*\})*)\}")
_HOOK = re.compile(
    r"hook (?P<hook>ingress|egress) devices? (?:= )?(?:\{(?P<several>[^}]*)\}|(?P<one>\S+)) priority [^;]*;"
    r"(?: policy (?P<policy>\w+);)?"
)
_STRING = re.compile(r'"[^"]*"')
_MAY_DROP = re.compile(r"\b(?:drop|reject|jump|goto|vmap|fwd|queue)\b")


@dataclass(frozen=True, slots=True)
class DeviceChain:
    """A chain, the devices of ours that it is on, and the hook: ingress is what a container sends."""

    chain: str
    devices: tuple[str, ...]
    hook: str


def device_chains(text: str, prefix: str) -> Iterator[DeviceChain]:
    """Those on a device whose name begins so."""
    for chain in _CHAIN.finditer(text):
        hook = _HOOK.search(chain["body"])
        if hook is None:
            continue
        named = (name.strip(' "\t\n') for name in (hook["several"] or hook["one"]).split(","))
        devices = sorted(name for name in named if name.startswith(prefix))
        rules = _STRING.sub("", chain["body"][hook.end() :])
        if devices and (hook["policy"] == "drop" or _MAY_DROP.search(rules)):
            yield DeviceChain(chain["name"], tuple(devices), hook["hook"])
