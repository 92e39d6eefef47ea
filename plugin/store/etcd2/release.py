"""An attachment in, its endpoint and addresses taken back out: the endpoint first, so no address has two users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd2 import keys
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.hints import Hints
from calico_rkt.plugin.store.etcd2.pools import read_pools
from calico_rkt.plugin.store.etcd2.values import node_of, nonce_of, read_endpoint
from calico_rkt.plugin.store.protocol import BrokenEndpointError
from calico_rkt.plugin.store.statefile import boot_id


def release(
    client: Client,
    hints: Path,
    node: str,
    key: Key,
    is_meant: Callable[[Endpoint], bool],
    nonce: str,
    addresses: Sequence[Address],
) -> bool | None:
    """One attempt: whether there was something to take back; None when somebody else wrote meanwhile.

    is_meant says of the endpoint that stands there whether it is the one. Addresses whose assignment has the nonce
    are given back also where there is no endpoint, or another one by now.
    """
    place = keys.endpoint(node, key)
    stored = client.get(place)
    found = False
    theirs = _endpoint(stored.value, key, addresses) if stored else None
    if stored is not None and theirs is not None and theirs.key == key and is_meant(theirs):
        if not client.delete(stored):
            return None
        found = True
        nonce, addresses = theirs.nonce, tuple(dict.fromkeys([*theirs.addresses, *addresses]))
    if stored is None or found:
        client.delete_folder(place.rpartition("/")[0])
        client.delete_folder(keys.workload(node, key.container))
    if nonce and addresses:
        found = _give_back(client, hints, nonce, addresses) or found
    return found


def _endpoint(value: str, key: Key, addresses: Sequence[Address]) -> Endpoint | None:
    """The endpoint that stands there; one of ours that lost what it says of itself is known by its place and nonce."""
    try:
        return read_endpoint(value, boot_id())
    except BrokenEndpointError:
        return Endpoint(key, nonce_of(value), "", -1, -1, "", "", tuple(addresses))


def sweep(client: Client, node: str, known: Callable[[], set[str]]) -> int:
    """Free the addresses of this node that no attachment has; how many.

    Such a one was taken by an ADD whose host lost its power before it wrote the endpoint. known gives the nonces of
    all attachments of the node, and is asked after the addresses were read: an ADD records its own before it takes one.
    """
    taken = [
        n
        for pool in read_pools(client, (4, 6))
        for n in client.listing(keys.assignments(pool.net.version, pool.name))
        if node in n.value
    ]
    mine = [(n, nonce) for n in taken if (nonce := nonce_of(n.value)) and node_of(n.value) == node]
    held = known() if mine else set()
    return sum(client.delete(n) for n, nonce in mine if nonce not in held)


def _give_back(client: Client, hints: Path, nonce: str, addresses: Sequence[Address]) -> bool:
    found = False
    for pool in read_pools(client, (a.version for a in addresses)):
        for address in (a for a in addresses if a.version == pool.net.version and a in pool.net):
            node = client.get(keys.assignment(pool.name, address))
            if node is not None and nonce_of(node.value) == nonce:
                found = client.delete(node) or found
                Hints(hints, pool.name).given_back(address)
    return found
