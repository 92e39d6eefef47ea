"""The bytes of one of Calico's IPAM blocks in, the block with an address taken or given back out. Nothing else.

A block is a small net of a pool, with what is taken in it (libcalico-go/lib/backend/model/block.go). Its JSON is
kept as it was read, so what others wrote beside the fields that are known here stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from calico_rkt.compiler.conf.netconf import Address, Net

HANDLE = "handle_id"
_FRESH = timedelta(seconds=60)
"""How long an empty block stays its owner's: it has claimed it in order to take an address."""


class BrokenBlockError(ValueError):
    """A block that says two things of one address; nothing may be taken from it or given back to it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has an address: its handle, and the node that the container runs on. handle is empty in cooldown."""

    handle: str
    node: str


class Block:
    """One block. take() and give_back() change it in memory; data() is what is to be stored.

    sequenceNumber counts the updates of a block: data() has it raised by one when something was changed.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self._changed = False
        if raw.get("attributes", ...) is None:
            raw["attributes"] = []  # Calico's own word for nobody, until a block's first address is taken
        try:
            self._taken: list[int | None] = raw["allocations"]
            self._free: list[int] = raw["unallocated"]
            self._holders: list[dict[str, Any]] = raw["attributes"]
            self._check_kinds()
            self.net: Net = ip_network(raw["cidr"])
            self._check()
        except (KeyError, TypeError, ValueError) as e:
            raise BrokenBlockError(f"block {raw.get('cidr')}: {e}") from e

    @classmethod
    def parse(cls, data: bytes) -> Block:
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as e:
            raise BrokenBlockError(f"a block that is no JSON: {e}") from e
        if not isinstance(raw, dict):
            raise BrokenBlockError("a block that is no object")
        return cls(raw)

    @classmethod
    def new(cls, net: Net, node: str, now: datetime) -> Block:
        """A block that a node claims; stored as it is, without raising its sequenceNumber."""
        size = net.num_addresses
        return cls(
            {
                "cidr": str(net),
                "affinity": _host(node),
                "affinity_claim_time": rfc3339(now),
                "allocations": [None] * size,
                "unallocated": list(range(size)),
                "attributes": [],
                "sequenceNumber": int(now.timestamp() * 1_000_000) * 1000,
                "sequenceNumberForAllocation": {},
                "deleted": False,
            }
        )

    def _check_kinds(self) -> None:
        """That what is looked into is of the kinds that Calico writes: what follows goes by them."""
        kinds = {
            "cidr": isinstance(self._raw["cidr"], str),
            "allocations": all(i is None or type(i) is int for i in self._taken),
            "unallocated": all(type(o) is int for o in self._free),
            "attributes": isinstance(self._holders, list) and all(map(_is_holder, self._holders)),
            "sequenceNumber": type(self._raw.get("sequenceNumber") or 0) is int,
            "sequenceNumberForAllocation": isinstance(self._raw.get("sequenceNumberForAllocation"), dict | None),
        }
        for name, good in kinds.items():
            if not good:
                raise ValueError(f"its {name} are not of the kind that Calico writes")

    def _check(self) -> None:
        """What calicoctl ipam check demands of a block."""
        size = self.net.num_addresses
        if len(self._taken) != size:
            raise ValueError(f"{len(self._taken)} allocations in {size} addresses")
        free = set(self._free)
        if len(free) != len(self._free) or not all(0 <= o < size and self._taken[o] is None for o in free):
            raise ValueError("an address stands among the free ones that is not free, or twice")
        used = {i for i in self._taken if i is not None}
        if len(free) + sum(i is not None for i in self._taken) != size:
            raise ValueError("an address is neither free nor taken")
        if used and not (min(used) >= 0 and max(used) < len(self._holders)):
            raise ValueError("an address is taken by nobody")

    @property
    def owner(self) -> str:
        """The node that has the block, empty when none has (anybody may take from it then)."""
        return str(self._raw.get("affinity") or "").removeprefix("host:")

    @property
    def empty(self) -> bool:
        return len(self._free) == self.net.num_addresses

    def reclaimable(self, now: datetime) -> bool:
        """Whether the block is empty, and its owner has had it for a while."""
        since = _moment(self._raw.get("affinity_claim_time"))
        return self.empty and (since is None or now - since >= _FRESH)

    def thaw(self, now: datetime, cooldown: int) -> None:
        """Free what is in cooldown (given back less than so many seconds ago) no more; 0: all that is.

        What does not say when it was given back stays taken.
        """
        over = []
        for index, holder in enumerate(self._holders):
            released = _moment(holder["releasedAt"]) if "releasedAt" in holder else None
            if released is not None and (not cooldown or (now - released).total_seconds() > cooldown):
                over.append(index)
        for ordinal, taken in enumerate(self._taken):
            if taken in over:
                self._free_one(ordinal)
        if over:
            self._drop_unused()
            self._changed = True

    def free(self) -> Iterator[Address]:
        """The free addresses in the order in which Calico hands them out."""
        return (self.net[o] for o in self._free)

    def holder(self, address: Address) -> Holder | None:
        """Who has the address, None when it is free."""
        index = self._taken[self._ordinal(address)]
        if index is None:
            return None
        found = self._holders[index]
        return Holder(found.get(HANDLE) or "", (found.get("secondary") or {}).get("node", ""))

    def taken(self) -> Iterator[tuple[Address, Holder]]:
        for ordinal, index in enumerate(self._taken):
            if index is not None:
                address = self.net[ordinal]
                holder = self.holder(address)
                assert holder is not None
                yield address, holder

    def take(self, address: Address, holder: Holder, now: datetime) -> None:
        """Mark a free address taken."""
        ordinal = self._ordinal(address)
        self._free.remove(ordinal)
        # Go's time.String(), as every Calico since 3.22 writes it.
        fraction = f".{now.microsecond:06d}".rstrip("0").rstrip(".")
        secondary = {"node": holder.node, "timestamp": f"{now:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"}
        self._taken[ordinal] = len(self._holders)
        self._holders.append({HANDLE: holder.handle, "secondary": secondary})
        self._numbers()[str(ordinal)] = self._raw.get("sequenceNumber") or 0
        self._changed = True

    def give_back(self, address: Address, handle: str, now: datetime, cooldown: int = 0) -> bool:
        """Free an address where this handle has it; False where it hasn't. cooldown: it stays taken for so long."""
        found = self.holder(address)
        if found is None or found.handle != handle:
            return False
        ordinal = self._ordinal(address)
        if cooldown:
            self._taken[ordinal] = len(self._holders)
            self._holders.append({"releasedAt": rfc3339(now)})
            self._numbers().pop(str(ordinal), None)
        else:
            self._free_one(ordinal)
        self._drop_unused()
        self._changed = True
        return True

    def claim(self, node: str, now: datetime) -> None:
        """Confirm that the block is this node's: a claim that was cut short is finished with it."""
        self._raw["affinity"] = _host(node)
        self._raw.setdefault("affinity_claim_time", rfc3339(now))
        self._changed = True

    def data(self) -> bytes:
        raw = self._raw
        if self._changed:
            raw = {**raw, "sequenceNumber": (raw.get("sequenceNumber") or 0) + 1}
        return json.dumps(raw, separators=(",", ":")).encode()

    def _ordinal(self, address: Address) -> int:
        return int(address) - int(self.net.network_address)

    def _numbers(self) -> dict[str, int]:
        if self._raw.get("sequenceNumberForAllocation") is None:
            self._raw["sequenceNumberForAllocation"] = {}
        numbers: dict[str, int] = self._raw["sequenceNumberForAllocation"]
        return numbers

    def _free_one(self, ordinal: int) -> None:
        self._taken[ordinal] = None
        self._free.append(ordinal)
        self._numbers().pop(str(ordinal), None)

    def _drop_unused(self) -> None:
        """Every holder that is listed has an address; the others keep their order."""
        used = sorted({i for i in self._taken if i is not None})
        renumbered = {old: new for new, old in enumerate(used)}
        self._holders[:] = [self._holders[i] for i in used]
        self._taken[:] = [None if i is None else renumbered[i] for i in self._taken]


def with_block(data: bytes | None, net: Net, change: int) -> bytes | None:
    """A handle's value with so many addresses more (or less) of a block; None when it has none left.

    A handle counts its addresses in each block; more than there are does no harm, less would leak one.
    """
    raw, blocks = _handle(data or b'{"block":{},"deleted":false}')
    raw["block"] = blocks
    count = blocks.pop(str(net), 0) + change
    if count > 0:
        blocks[str(net)] = count
    return json.dumps(raw, separators=(",", ":")).encode() if blocks else None


def handle_blocks(data: bytes) -> tuple[Net, ...]:
    """The blocks that a handle has addresses in."""
    return tuple(ip_network(text) for text in _handle(data)[1])


def _handle(data: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    """A handle, and how many addresses it has in which block; BrokenBlockError where it does not say that."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BrokenBlockError(f"a handle that is no JSON: {e}") from e
    blocks = raw.get("block", {}) if isinstance(raw, dict) else None
    if not isinstance(blocks, dict) or not all(type(count) is int for count in blocks.values()):
        raise BrokenBlockError("a handle that does not count its addresses")
    try:
        for text in blocks:
            ip_network(text)
    except ValueError as e:
        raise BrokenBlockError(f"a handle that counts addresses of no block: {e}") from e
    return raw, blocks


def block_net(address: Address, size: int) -> Net:
    """The block of this prefix length that the address lies in."""
    return ip_network((address, size), strict=False)


def rfc3339(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _is_holder(found: object) -> bool:
    return isinstance(found, dict) and isinstance(found.get("secondary") or {}, dict)


def _moment(text: object) -> datetime | None:
    """The time that others wrote, in UTC where they named no zone; None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_address(text: str) -> Address:
    """The address of `10.1.0.5/32` or of `10.1.0.5`."""
    return ip_address(text.partition("/")[0])


def _host(node: str) -> str:
    return f"host:{node}"
