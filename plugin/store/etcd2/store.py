"""Attachments of this host in, Calico's endpoints, profiles and addresses of 2015 in etcd v2 out: a cluster's Store.

etcd v2 writes one key at a time. So the order is what keeps things whole: this host's own record first, then the
address, then the endpoint; and the other way round when they go. What is cut short in between is found by the record.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf, Range
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.cni.result import gateways_in
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.access import Access, access_of, node_name
from calico_rkt.plugin.store.addresses import by_set
from calico_rkt.plugin.store.clustered import ClusterStore, NoProfileError, of_fields, of_pools, until_done
from calico_rkt.plugin.store.etcd2 import keys, session
from calico_rkt.plugin.store.etcd2.client import Etcd2Node
from calico_rkt.plugin.store.etcd2.hints import Hints
from calico_rkt.plugin.store.etcd2.pools import pool_at, pool_problem, pools_for, read_pools
from calico_rkt.plugin.store.etcd2.published import Etcd2Profiles
from calico_rkt.plugin.store.etcd2.release import release, sweep
from calico_rkt.plugin.store.etcd2.spans import spans_of
from calico_rkt.plugin.store.etcd2.take import exhausted, offers
from calico_rkt.plugin.store.etcd2.values import (
    Etcd2Pool,
    assignment_value,
    endpoint_fields,
    endpoint_value,
    holder_words,
    json_object,
    nonce_of,
    profiles_of,
    read_endpoint,
)
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.local import LocalStore, open_records
from calico_rkt.plugin.store.statefile import boot_id

FOLDER = "etcdv2"
"""Where this host keeps its records of such clusters."""


class Etcd2Store(ClusterStore):
    """The Store of this host in a cluster of 2015, for one call: its patience with etcd begins with it."""

    datastore = "etcdv2"
    target = "calico-v1"
    addresses_have_nonces = True

    def __init__(self, run_dir: Path, records: LocalStore, journal: Journal, access: Access, node: str) -> None:
        super().__init__(run_dir, records, journal, access, node)
        self._client = session.take(access)
        self._hints = run_dir / FOLDER / "hints"
        self._gateways: dict[int, Address] | None = None
        self.profiles: Etcd2Profiles = Etcd2Profiles(self._client, node)

    def add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        self.finish_releases()
        return until_done(lambda: self._try_add(self._here(endpoint), ipam, requested))

    def _try_add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint | None:
        """One attempt; None when it has to begin anew: something stood in the way, or the profile went away."""
        key = endpoint.key
        self.check_ready()
        self._check_profile(key.network)
        if not self._is_clear(key):
            return None
        try:
            added = self._take(endpoint, ipam, requested)
            if self._write(added) and self.profiles.look(object_id(key.network)).rules is not None:
                return added
        except CniError:
            self.remove(key, endpoint.nonce)  # what failed may have happened all the same
            raise
        self.remove(key, endpoint.nonce)
        return None

    def check_ready(self) -> None:
        """CniError 11 when the cluster does not want to be written to."""
        ready = self._client.get(keys.READY)
        if ready is None or ready.value != "true":
            found = repr(ready.value) if ready else "not there"
            raise CniError(
                Code.TRY_AGAIN,
                "the Calico datastore is not ready",
                f"calico/node writes {keys.READY} at its first start; it is {found}",
            )

    def _check_profile(self, network: str) -> None:
        stored = self.profiles.look(object_id(network))
        if stored.rules is None:
            raise NoProfileError(network)
        self.profiles.check_network(network, stored)

    def _is_clear(self, key: Key) -> bool:
        """Whether no endpoint stands at the place. One that no record speaks of is from before a reboot, and goes."""
        place = keys.endpoint(self.node, key)
        there = self._client.get(place)
        if there is None:
            return True
        if not nonce_of(there.value) or not self._release(self.node, key, ""):
            raise CniError(
                Code.ATTACHMENT_EXISTS,
                f"Calico has an endpoint {place} already, and it is not this attachment's",
                "another plugin attached this interface of the container; DEL it there first",
            )
        return False

    def _take(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """Record the endpoint with an address of each range set, each of which is taken in the cluster, too."""
        key = endpoint.key
        if endpoint.addresses:
            return self._records.add(endpoint, ipam, ())
        if not ipam.ranges:
            raise CniError(Code.INVALID_CONF, f"network {key.network!r} has no range to take an address from")
        wanted = by_set(key.network, ipam, requested)
        pools = pools_for(self._client, ipam, masquerade=endpoint.ip_masq)
        for number, ranges in enumerate(ipam.ranges):
            added = self._take_one(endpoint, ipam, number, wanted.get(number), pools)
            if added is None:
                raise exhausted(key.network, ranges, ipam.exclude)
            endpoint = added
        return endpoint

    def _take_one(
        self, endpoint: Endpoint, ipam: Ipam, number: int, wanted: Address | None, pools: Sequence[Etcd2Pool]
    ) -> Endpoint | None:
        """The endpoint with one more address; None when the range set has none left."""
        ranges: tuple[Range, ...] = ipam.ranges[number]
        if wanted is not None:
            return self._take_this(endpoint, ipam, wanted, pools)
        over = dict.fromkeys(pool_at(r.first, pools) for r in ranges)
        hinted = [(pool, Hints(self._hints, pool.name)) for pool in over]
        place = f"{endpoint.key.network}/{number}"
        spans = spans_of(ranges, ipam.exclude, endpoint.addresses)
        for address in offers(self._client, hinted, place, spans):
            added = self._record(endpoint, ipam, address)
            if added is not None and self._assign(added, address, pools):
                return added
        return None

    def _take_this(self, endpoint: Endpoint, ipam: Ipam, address: Address, pools: Sequence[Etcd2Pool]) -> Endpoint:
        added = self._record(endpoint, ipam, address)
        if added is None or not self._assign(added, address, pools):
            holder = self._client.get(keys.assignment(pool_at(address, pools).name, address))
            raise CniError(
                Code.ADDRESS_TAKEN,
                f"{address} is taken by {holder_words(holder.value) if holder else 'another attachment of this host'}",
            )
        return added

    def _record(self, endpoint: Endpoint, ipam: Ipam, address: Address) -> Endpoint | None:
        """The host's record with one more address; None when another record of this host has it."""
        try:
            return self._records.add(replace(endpoint, addresses=(*endpoint.addresses, address)), ipam, ())
        except CniError as e:
            if e.code != Code.ADDRESS_TAKEN:
                raise
            return None

    def _assign(self, endpoint: Endpoint, address: Address, pools: Sequence[Etcd2Pool]) -> bool:
        place = keys.assignment(pool_at(address, pools).name, address)
        return self._client.create(place, assignment_value(endpoint, self.node))

    def _write(self, added: Endpoint) -> bool:
        return self._client.create(
            keys.endpoint(self.node, added.key), endpoint_value(added, self.gateways(), boot_id())
        )

    def _release(self, node: str, key: Key, nonce: str, addresses: Sequence[Address] = ()) -> bool:
        is_meant = self._meant(key, nonce)
        return until_done(lambda: release(self._client, self._hints, node, key, is_meant, nonce, addresses))

    def gateways(self) -> dict[int, Address]:
        """The addresses at which this host speaks BGP: its containers' next hops, as in 2015."""
        if self._gateways is None:
            found = {n.name: n.value.strip() for n in self._client.listing(keys.addresses_of(self.node))}
            given = {v: found.get(f"ip_addr_v{v}", "") for v in (4, 6)}
            self._gateways = {v: a for v, text in given.items() if (a := _address(text, v, self.node)) is not None}
        return self._gateways

    def sweep(self) -> int:
        def known() -> set[str]:
            stored = (nonce_of(n.value) for n in self._nodes())
            return {*stored, *(e.nonce for e in self._records.endpoints()), *(r.nonce for r in self._noted())}

        self._records.endpoints()
        if self._records.damaged or self._journal.broken():
            return 0  # whose an address is can't be told for certain
        return sweep(self._client, self.node, known)

    def _stored(self) -> Iterator[Endpoint | None]:
        return (self._readable(partial(read_endpoint, node.value, boot_id())) for node in self._nodes())

    def _nodes(self) -> list[Etcd2Node]:
        nodes = self._client.tree(f"{keys.host(self.node)}/workload/{keys.ORCHESTRATOR}")
        return [n for n in nodes if keys.is_endpoint(n.key)]

    def is_published(self, network: str) -> bool:
        self.check_ready()
        stored = self.profiles.look(object_id(network))
        if stored.rules is not None:
            self.profiles.check_network(network, stored)
        return stored.rules is not None

    def differs(self, endpoint: Endpoint) -> list[str]:
        place = keys.endpoint(self.node, endpoint.key)
        network_id = object_id(endpoint.key.network)
        found, profile = self._client.get(place), self.profiles.look(network_id)
        if found is None:
            return [f"Calico has no endpoint {place}"]
        # The gateway that it got: the host may have another address by now.
        want, have = endpoint_fields(endpoint, gateways_in(endpoint.result)), json_object(found.value)
        problems = of_fields(place, want, have, "profile_ids")
        if network_id not in profiles_of(found.value):
            problems.append(f"Calico's endpoint {place} is not under the profile {network_id}")
        if profile.rules is None or profile.tags is None:
            problems.append(f"Calico has no profile {network_id}, or not all of it")
        return [*problems, *self._others(endpoint)]

    def _others(self, endpoint: Endpoint) -> list[str]:
        """The endpoint's addresses that Calico has assigned to others; with delegated ipam it has assigned none."""
        problems = []
        for pool in read_pools(self._client, (a.version for a in endpoint.addresses)):
            for address in (a for a in endpoint.addresses if a.version == pool.net.version and a in pool.net):
                node = self._client.get(keys.assignment(pool.name, address))
                if node is not None and nonce_of(node.value) != endpoint.nonce:
                    problems.append(f"{address} is assigned to {holder_words(node.value)} in Calico's pool {pool.net}")
        return problems

    def warnings(self, confs: Sequence[NetConf]) -> tuple[str, ...]:
        found = []
        try:
            self.check_ready()
            self.gateways()
        except CniError as e:
            found.append(f"{e.msg}: {e.details}")
        if not self._client.tree(keys.host(self.node)) and not self._client.listing(keys.addresses_of(self.node)):
            found.append(
                f"Calico has no host {self.node!r}: start calico/node on this host, or set nodename to the name that "
                f"it has in Calico"
            )
        pools = read_pools(self._client, (4, 6))
        found += of_pools(confs, partial(pool_problem, pools))
        found += self._about_records()
        half = self.profiles.half_swapped()
        if half:
            found.append(f"an apply on {half} is under way or was cut short: calico-rkt apply finishes it")
        return tuple(dict.fromkeys([*found, *(f"{words}: calico-rkt gc" for words in self.waiting())]))

    def complete(self) -> str:
        return self.profiles.finish_swap()

    def be_patient(self) -> None:
        self._client.be_patient()

    def close(self) -> None:
        self._records.close()
        session.give_back(self._client)


def open_etcd2(conf: NetConf) -> Etcd2Store:
    """The store that a conf with datastore_type etcdv2 names."""
    run_dir, lib_dir = folders()
    access, node = access_of(conf, os.environ), node_name(conf, os.environ)
    return Etcd2Store(run_dir, open_records(FOLDER), Journal(lib_dir / "journal"), access, node)


def _address(text: str, version: int, node: str) -> Address | None:
    """An address as calico/node wrote it; None for an empty one."""
    if not text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or found.version != version:
        place = f"{keys.addresses_of(node)}/ip_addr_v{version}"
        raise CniError(
            Code.DATASTORE, f"{place} is {text!r}, which is no IPv{version} address", "start calico/node anew"
        )
    return found
