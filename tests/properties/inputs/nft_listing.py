"""libnftables' JSON of a ruleset in, damaged; who reads it for attest, restore, doctor and Felix, as a door, out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from random import Random
from unittest.mock import patch

from hypothesis import strategies as st

from calico_rkt.compiler.ir.model import Network
from calico_rkt.plugin.attest import judge
from calico_rkt.plugin.attest.elsewhere import elsewhere
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import OURS, parsed
from calico_rkt.plugin.attest.walk import fates
from calico_rkt.plugin.enforce import felix_chains
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.other_firewalls import blocked
from calico_rkt.plugin.errors import CniError
from tests.properties.inputs.door import Door, foreseen
from tests.properties.inputs.json_damage import damaged_once
from tests.properties.inputs.kernel_said import LISTINGS

_NAME = "crk000000000001"
_ADDRESSES = tuple(map(ip_address, ("10.65.0.1", "fd65::1")))
_FAR = ip_address("203.0.113.9")
_WANTED = Wanted(
    {"web": Network("web", "web", (), ())},
    (Known("c0", "web", _NAME, _ADDRESSES),),
    tuple(map(ip_network, ("10.65.0.0/24", "fd65::/64"))),
    "up0",
)
_PACKETS = [
    Packet(Kind.NEW, _ADDRESSES[0], _FAR, 6, _NAME, "up0", 49152, 80),
    Packet(Kind.REPLY, _FAR, _ADDRESSES[0], 17, "up0", _NAME, 53, 49152, flow=(_ADDRESSES[0], _FAR)),
    Packet(Kind.NEW, _ADDRESSES[1], ip_address("2001:db8::1"), 58, _NAME, ""),
]


def _attested() -> None:
    """What judge does, with few packets."""
    rules = parsed(libnftables.list_numbers("list ruleset"))
    ours = rules.tables.get(OURS)
    if ours is not None:
        list(judge._suspicions(ours, _WANTED))
    for found in rules.tables.values():
        for packet in _PACKETS:
            fates(found, packet)
    elsewhere(rules, _WANTED)


_ASKED: dict[str, Callable[[], object]] = {
    "attest": _attested,
    "what is left of an endpoint": table._present,
    "other firewalls": blocked.findings,
    "Felix": lambda: felix_chains.missing((4, 6)),
}


def _listing(seed: int) -> bytes:
    """A ruleset with one to three places changed; one of five cut off. A few objects of it are enough."""
    chance = Random(seed)
    whole = chance.choice(LISTINGS)["nftables"]
    some = chance.sample(range(len(whole)), chance.choice((len(whole) // 8, len(whole) // 3)))
    document = {"nftables": [copy.deepcopy(o) for n, o in enumerate(whole) if n in some or "table" in o]}
    for _ in range(chance.randint(0, 3)):
        damaged_once(chance.choice, document)
    text = json.dumps(document).encode()
    return text[: chance.randrange(len(text))] if chance.random() < 0.2 else text


def _enter(told: tuple[str, int]) -> None:
    what, seed = told
    listing = _listing(seed)
    tables = [("ip", "nat", False), ("inet", "fw", False), ("ip", "filter", False)]
    with (
        patch.object(libnftables, "_call", lambda *_: listing.decode(errors="replace")),
        patch.object(table, "_table_exists", lambda: True),
        patch.object(blocked, "_tables", lambda: tables),
        patch.object(blocked, "legacy_rules", lambda *_: ""),
    ):
        try:
            _ASKED[what]()
        except CniError as e:
            foreseen(e)


NFT = Door(
    "nft's listing",
    "libnftables' JSON of the ruleset, other tables and other versions among it, as attest and others read it",
    st.tuples(st.sampled_from(["attest", "attest", "attest", *sorted(_ASKED)]), st.integers(0, 1 << 32)),
    _enter,
    share=40,
)
