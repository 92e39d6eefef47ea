"""A host and a packet in, a case as a JSON file out, and back; and less and less of a host, while it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.clients.support.wire.meaning import Endpoint
from tests.clients.support.wire.packets import Sent

KEPT = Path(__file__).parents[2] / "wire_cases"


def packet_values(sent: Sent, endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    """A packet as JSON; an endpoint's address is said by its place, whatever it will be given."""
    at = {a: e.place for e in endpoints.values() for a in e.addresses.values()}
    return {
        "place": sent.place,
        "version": sent.version,
        "source": at.get(sent.source, str(sent.source)),
        "destination": at.get(sent.destination, str(sent.destination)),
        "protocol": sent.protocol,
        "ports": list(sent.ports),
        "icmp": list(sent.icmp),
        "flags": sent.flags,
    }


def packet_of(values: Mapping[str, Any], endpoints: Mapping[str, Endpoint]) -> Sent:
    """The packet of these values, between endpoints that are there now."""

    def address(text: str) -> Any:
        return endpoints[text].addresses[values["version"]] if text in endpoints else ip_address(text)

    return Sent(
        values["place"],
        address(values["source"]),
        address(values["destination"]),
        values["protocol"],
        (values["ports"][0], values["ports"][1]),
        (values["icmp"][0], values["icmp"][1]),
        values["flags"],
    )


def keep(name: str, host: Mapping[str, Any], packet: Mapping[str, Any]) -> Path:
    """Write a case that is to be looked at; without its second ending it is run always."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{name}.json.new"
    path.write_text(json.dumps({"why": "", "host": host, "packets": [packet]}, indent=1) + "\n")
    return path


def cases() -> list[Path]:
    return sorted(KEPT.glob("*.json"))


def smaller(files: Mapping[str, Any], fails: Callable[[Mapping[str, Any]], bool], seconds: float = 60) -> Any:
    """The files without whatever can be left out of them while it still fails: files, rules, fields, items."""
    found: Any = deepcopy(files)
    deadline = time.monotonic() + seconds
    at = 0
    while at < len(places := list(_places(found))) and time.monotonic() < deadline:
        less = _without(found, places[at])
        if less is not None and fails(less):
            found = less  # what came behind it stands in its place now
        else:
            at += 1
    return found


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something could be left out, the largest pieces first."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield (*path, key)
    for key in keys:
        yield from _places(value[key], (*path, key))


_NEEDED = ("network", "action", "apiVersion", "kind", "metadata", "labelsToApply")


def _without(files: Any, path: tuple[Any, ...]) -> Any:
    """A copy without one piece; None where a document would not be one any more."""
    if (len(path) == 2 and path[1] in _NEEDED) or "metadata" in path or "labelsToApply" in path or path[-1] == "action":
        return None
    less = deepcopy(files)
    at = less
    for key in path[:-1]:
        at = at[key]
    if isinstance(at, list) and len(at) == 1 and not isinstance(at[0], dict):
        return None
    del at[path[-1]]
    return less
