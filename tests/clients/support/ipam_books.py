"""A dump of a cluster in, what doesn't add up in IPAM's books out: more than `calicoctl ipam check` looks at.

That command demands that each block is sound, that each address that is allocated is an endpoint's and the other way
round, inside a pool, and that each handle has an address. Here handles' counts, nodes, affinities and sequence numbers
have to fit, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

IPAM = "/calico/ipam/v2/"
RESOURCES = "/calico/resources/v3/projectcalico.org/"


@dataclass(frozen=True)
class Taken:
    """One allocated address; handle and node are empty in cooldown."""

    address: str
    block: str
    handle: str
    node: str


def problems(dump: Mapping[str, Any]) -> list[str]:
    """What is wrong, in words."""
    blocks = {k: v for k, v in dump.items() if k.startswith(f"{IPAM}assignment/")}
    taken = [t for block in blocks.values() for t in _taken(block)]
    held = {k: v["spec"] for k, v in dump.items() if k.startswith(f"{RESOURCES}workloadendpoints/")}
    return [
        *(p for key, block in blocks.items() for p in _block(key, block)),
        *_handles(dump, taken),
        *_endpoints(held, [t for t in taken if t.handle]),
        *_pools(dump, blocks),
        *_affinities(dump, blocks),
    ]


def _taken(block: Mapping[str, Any]) -> Iterator[Taken]:
    for ordinal, index in enumerate(block["allocations"]):
        if index is not None and index < len(block["attributes"]):
            of = block["attributes"][index]
            node = (of.get("secondary") or {}).get("node", "")
            yield Taken(str(ip_network(block["cidr"])[ordinal]), block["cidr"], of.get("handle_id") or "", node)


def _block(key: str, block: Mapping[str, Any]) -> Iterator[str]:
    size, attributes = ip_network(block["cidr"]).num_addresses, block["attributes"]
    free, used = block["unallocated"], [o for o, a in enumerate(block["allocations"]) if a is not None]
    if not key.endswith("/" + block["cidr"].replace("/", "-")):
        yield f"{key} holds {block['cidr']}"
    if len(block["allocations"]) != size or sorted([*free, *used]) != list(range(size)):
        yield f"{key}: {sorted(free)} free, {used} taken, of {size}"
    if {block["allocations"][o] for o in used} != set(range(len(attributes))):
        yield f"{key}: attributes that nothing refers to, or the reverse: {block['allocations']}"
        return
    live = {str(o) for o in used if not attributes[block["allocations"][o]].get("releasedAt")}
    numbers = block["sequenceNumberForAllocation"]
    if set(numbers) != live:
        yield f"{key}: numbers for {sorted(numbers)}, taken {sorted(live)}"
    if any(n >= block["sequenceNumber"] for n in numbers.values()):
        yield f"{key}: numbers {numbers} not before {block['sequenceNumber']}"


def _handles(dump: Mapping[str, Any], taken: list[Taken]) -> Iterator[str]:
    handles = {k.removeprefix(f"{IPAM}handle/"): v["block"] for k, v in dump.items() if k.startswith(f"{IPAM}handle/")}
    counted = {(h, cidr): n for h, blocks in handles.items() for cidr, n in blocks.items()}
    found = dict(Counter((t.handle, t.block) for t in taken if t.handle))
    if counted != found:
        yield f"handles say {counted}, blocks {found}"
    yield from (f"handle {h} has nothing" for h, blocks in handles.items() if not blocks)


def _endpoints(held: Mapping[str, Mapping[str, Any]], taken: list[Taken]) -> Iterator[str]:
    of = [(a.partition("/")[0], spec["node"]) for spec in held.values() for a in spec["ipNetworks"]]
    known = [(t.address, t.node) for t in taken]
    if sorted(of) != sorted(known):
        without, unused = Counter(of) - Counter(known), Counter(known) - Counter(of)
        yield f"endpoints without address: {sorted(without)}, addresses without endpoint: {sorted(unused)}"
    twice = [a for a, count in Counter(a for a, _ in of).items() if count > 1]
    if twice:
        yield f"addresses twice: {sorted(twice)}"


def _pools(dump: Mapping[str, Any], blocks: Mapping[str, Any]) -> Iterator[str]:
    pools = [v["spec"] for k, v in dump.items() if k.startswith(f"{RESOURCES}ippools/")]
    for block in blocks.values():
        net = ip_network(block["cidr"])
        over = [p for p in pools if net.version == ip_network(p["cidr"]).version and _lies_in(net, p["cidr"])]
        sizes = {p.get("blockSize") or {4: 26, 6: 122}[net.version] for p in over}
        if sizes != {net.prefixlen}:
            yield f"block {net} lies in pools with blocks of {sizes}"


def _lies_in(net: Any, cidr: str) -> bool:
    outer = ip_network(cidr)
    return net.prefixlen >= outer.prefixlen and net.network_address in outer


def _affinities(dump: Mapping[str, Any], blocks: Mapping[str, Any]) -> Iterator[str]:
    """A confirmed affinity has a block of its node, and a block with an owner has its affinity."""
    claims = set()
    for key, value in dump.items():
        if key.startswith(f"{IPAM}host/") and (value.get("state") or "confirmed") == "confirmed":
            node, _, rest = key.removeprefix(f"{IPAM}host/").partition("/")
            claims.add((node, rest.rpartition("/")[2]))
    owned = {
        (b["affinity"].removeprefix("host:"), key.rpartition("/")[2]) for key, b in blocks.items() if b.get("affinity")
    }
    if claims != owned:
        yield f"affinities without block: {sorted(claims - owned)}, blocks without: {sorted(owned - claims)}"
