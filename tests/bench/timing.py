"""What to call in turn in; medians in milliseconds, and pools filled with leases, out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_network

from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import local
from calico_rkt.plugin.store.log.tables import CURSORS
from calico_rkt.plugin.store.log.texts import encode_address, text_of
from calico_rkt.plugin.store.rows import insert_endpoint
from tests.bench.host import OURS, PEER, call, netns

ROUNDS = 40
SETTLE = 0.06


def medians(work: Sequence[Callable[[int], float]], rounds: int = ROUNDS) -> list[float]:
    """The median of each, in milliseconds, taken in turn after one uncounted round.

    Between two the kernel gets time to finish: it ends a removal 10 to 30 ms after the link is out, with a lock in its
    hands, and whoever comes next would be charged for it.
    """
    figures = [[_settled(one, i) for one in work] for i in (rounds, *range(rounds))]
    return [statistics.median(column[1:]) * 1e3 for column in zip(*figures, strict=True)]


def _settled(one: Callable[[int], float], number: int) -> float:
    took = one(number)
    time.sleep(SETTLE)
    return took


def pairs(ours: bytes, peer: bytes, prefix: str, rounds: int = ROUNDS) -> list[float]:
    """Medians of our ADD, the peer's, our DEL, the peer's."""
    names = [f"{prefix}{i}" for i in range(rounds + 1)]
    netns("add", [*names, *(f"{n}p" for n in names)])
    found = medians(
        [
            lambda i: call(OURS, "ADD", ours, names[i]),
            lambda i: call(PEER, "ADD", peer, f"{names[i]}p"),
            lambda i: call(OURS, "DEL", ours, names[i]),
            lambda i: call(PEER, "DEL", peer, f"{names[i]}p"),
        ],
        rounds,
    )
    netns("del", [*names, *(f"{n}p" for n in names)])
    return found


def fill(network: str, subnet: str, leases: int) -> None:
    """Leases without links, as full as a pool may get."""
    store = local.open_local()
    hosts = ip_network(subnet).hosts()
    taken = {a for e in store.endpoints(network) for a in e.addresses}
    with store._state.write() as tables:
        last = None
        for i, address in zip(range(leases), (a for a in hosts if a not in taken), strict=False):
            key, last = Key(network, f"full{i}", "eth0"), address
            mac = "02:00:00:00:00:00"
            insert_endpoint(tables, Endpoint(key, "0" * 16, "/run/netns/none", 0, 0, f"crk{i:012x}", mac, (address,)))
        assert last is not None
        tables.put(CURSORS, text_of([network, 0]), text_of(encode_address(last)))
    store.close()


def added_and_removed(ours: bytes, name: str) -> float:
    took = call(OURS, "ADD", ours, name)
    call(OURS, "DEL", ours, name)
    return took
