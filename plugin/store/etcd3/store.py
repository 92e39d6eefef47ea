"""Attachments of this host in, Calico's endpoints, profiles and addresses in etcd out: the Store of a cluster.

This host keeps a record of its own of every attachment, so a DEL can do all that the kernel needs while etcd is
away. What the cluster has is one WorkloadEndpoint, written together with its addresses and taken away with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.access import Access, access_of, node_name
from calico_rkt.plugin.store.clustered import ClusterStore, NoProfileError, of_fields, of_pools, until_done
from calico_rkt.plugin.store.etcd3 import keys, session
from calico_rkt.plugin.store.etcd3.allocate import Allocator, Draft
from calico_rkt.plugin.store.etcd3.blocks import BrokenBlockError, Holder, with_block
from calico_rkt.plugin.store.etcd3.ipamlock import ipam_lock
from calico_rkt.plugin.store.etcd3.ops import Answer, absent, exists, get, get_prefix, put, unchanged
from calico_rkt.plugin.store.etcd3.pools import make_missing, pool_problem
from calico_rkt.plugin.store.etcd3.published import Etcd3Profiles, check_network
from calico_rkt.plugin.store.etcd3.release import release
from calico_rkt.plugin.store.etcd3.resources import (
    encode_resource,
    endpoint_resource,
    nonce_of,
    profile_digest,
    read_endpoint,
    resource,
    section,
    texts,
)
from calico_rkt.plugin.store.etcd3.view import Look, View, refuse_unready
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.local import LocalStore, open_records
from calico_rkt.plugin.store.statefile import boot_id

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.felix import Nodes
    from calico_rkt.plugin.store.etcd3.inventory import Etcd3Inventory


class Etcd3Store(ClusterStore):
    """The Store of this host in a cluster, for one call: its patience with etcd begins with it."""

    def __init__(self, run_dir: Path, records: LocalStore, journal: Journal, access: Access, node: str) -> None:
        super().__init__(run_dir, records, journal, access, node)
        self._session = session.take(access)
        self._gateway = self._session.gateway
        self._locked = False
        self._looked: View | None = None
        """What an attempt that was too late, or believed what led to nothing, has read, for the next one."""
        self.profiles = Etcd3Profiles(self._gateway)

    def inventory(self) -> Etcd3Inventory:
        """What export and import ask of the cluster; an attachment never does."""
        from calico_rkt.plugin.store.etcd3.inventory import Etcd3Inventory

        return Etcd3Inventory(self._gateway)

    def add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """Record the endpoint here, then write it with its addresses; NoProfileError where its network has none."""
        self.finish_releases()
        with self._ipam_lock():
            try:
                return until_done(lambda: self._try_add(endpoint, ipam, requested))
            except BaseException:
                self._records.remove(endpoint.key, endpoint.nonce)  # what an attempt before the last has recorded
                raise

    def _try_add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint | None:
        """One attempt; None when it has to begin anew: others wrote meanwhile, or something had to be made first.

        What it has recorded on this host stays then: the next one records the same attachment in its place.

        What an ADD of before has left of the cluster is believed first, and compared by the write. Nothing is refused
        by it: where it does not lead to an address, the cluster is looked at.
        """
        key, now = endpoint.key, datetime.now(UTC)
        look, looked = self._look_for(key, len(ipam.ranges)), self._looked
        self._looked = None
        since = self._gateway.connected_since
        kept = None if looked else self._session.views.take(self.node, key.network, since)
        view = looked or kept or look.read(self._gateway)
        try:
            draft, added = self._drafted(endpoint, ipam, requested, look, view, now)
        except CniError:
            if kept is None:
                raise
            self._looked = look.read(self._gateway)
            return None
        if added is None:
            return None
        try:
            answer = self._write(added, view, draft, look, now, believed=kept is not None)
            anew = None if answer.succeeded else look.view(answer)
        except CniError:
            self.remove(key, endpoint.nonce)  # it may have happened all the same
            raise
        # A member that went away may have done it before: then our own endpoint is what stands in the way.
        theirs = anew.endpoint if anew else None
        if anew and (theirs is None or nonce_of(resource(theirs.value)) != added.nonce):
            self._looked = anew
            return None
        self._remember(key.network, ipam, added, draft)
        if anew is None and draft.is_plain(self.node):
            self._session.views.keep(self.node, key.network, view, draft.stored(answer.revision))
        return added

    def _look_for(self, key: Key, sets: int) -> Look:
        """What an ADD has to know, with the blocks that lately had room for its range sets."""
        places = ((key.network, number) for number in range(sets))
        likely = dict.fromkeys(self._session.blocks[p] for p in places if p in self._session.blocks)
        name = keys.endpoint_name(self.node, key.container, key.ifname)
        handle = keys.handle_id(key.network, key.container)
        return Look(self.node, object_id(key.network), name, handle, tuple(likely))

    def _drafted(
        self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address], look: Look, view: View, now: datetime
    ) -> tuple[Draft, Endpoint | None]:
        """The endpoint as this host has recorded it, and the writes that store it; none where something is first."""
        key = endpoint.key
        view.check_ready()
        if view.profile is None:
            raise NoProfileError(key.network)
        check_network(key.network, view.profile.value)
        self._warn_of_codes(key.network, view.profile.value)
        if view.endpoint is not None:
            self._clear_the_place(key, look.endpoint, view.endpoint.value)
            return Draft(), None
        if make_missing(self._gateway, view, ipam, now, nat=endpoint.ip_masq):
            return Draft(), None
        places = ((key.network, number) for number in range(len(ipam.ranges)))
        borrowed = [self._session.borrowed[p] for p in places if p in self._session.borrowed]
        allocator = Allocator(self._gateway, view, Holder(look.handle_id, self.node), now, borrowed)
        addresses = endpoint.addresses or allocator.choose(key.network, ipam, requested)
        if not addresses:
            raise CniError(Code.INVALID_CONF, f"network {key.network!r} has no range to take an address from")
        added = self._records.add(self._here(replace(endpoint, addresses=tuple(addresses))), ipam, ())
        return allocator.draft, added

    def _warn_of_codes(self, network: str, profile: bytes) -> None:
        """A profile that is published already is used, also where a Felix can't say what it says."""
        if b'"code"' in profile and "nftables" in self.felix().modes:
            message = "network %s: its profile names an ICMP code, which stops a Felix in nftables mode: %s"
            LOG.warning(message, network, self.felix().why)

    def _write(self, added: Endpoint, view: View, draft: Draft, look: Look, now: datetime, *, believed: bool) -> Answer:
        """The one transaction of an ADD, which reads all anew when anything is not as it was read.

        believed: what was read is of an ADD of before, so all of it is compared.
        """
        place = keys.ENDPOINTS + look.endpoint
        compares, ops = draft.writes()
        compares += [
            absent(place),
            exists(keys.profile(look.network_id)),
            *(view.unmoved(self.node) if believed else ()),
        ]
        ops.append(put(place, encode_resource(endpoint_resource(added, self.node, boot_id(), now))))
        if draft.blocks:
            value = view.handle.value if view.handle else None
            handle = keys.handle(look.handle_id)
            try:
                for address in added.addresses:
                    value = with_block(value, next(n for n in draft.blocks if address in n), 1)
            except BrokenBlockError as e:
                raise CniError(Code.DATASTORE, f"Calico's {handle} can't be read", f"{e}: calicoctl ipam check") from e
            compares.append(unchanged(handle, view.handle.revision if view.handle else 0))
            ops.append(put(handle, value or b""))
        return self._gateway.txn(compares, ops, look.gets())

    def _remember(self, network: str, ipam: Ipam, added: Endpoint, draft: Draft) -> None:
        """Where each range set found room: the next address is likely to be there, too."""
        for number, address in enumerate(added.addresses if ipam.ranges else ()):
            net = next(n for n in draft.blocks if address in n)
            own = draft.blocks[net][0].owner == self.node
            (self._session.blocks if own else self._session.borrowed)[network, number] = net

    def _clear_the_place(self, key: Key, name: str, value: bytes) -> None:
        """An endpoint of that name which no record speaks of: ours, from before a reboot, goes; others' stays."""
        if not nonce_of(resource(value)) or not self._release(self.node, key, ""):
            raise CniError(
                Code.ATTACHMENT_EXISTS,
                f"Calico has an endpoint {name} already, and it is not this attachment's",
                "another network or another plugin attached this interface of the container; DEL it there first",
            )

    def _release(self, node: str, key: Key, nonce: str, addresses: Sequence[Address] = ()) -> bool:
        """Take an endpoint and its addresses away where it is still the one meant; whether there was one.

        nonce "": whatever attachment of ours stands there that this host has no record of.
        """
        is_meant, likely = self._meant(key, nonce), tuple(self._session.blocks.values())
        # Two interfaces of a container share a handle, so without the endpoint it must not be the other's address.
        others = (e for e in self._records.endpoints(key.network) if e.key.container == key.container and e.key != key)
        elsewhere = {a for e in others for a in e.addresses} if addresses else set()
        mine = [a for a in addresses if a not in elsewhere]
        with self._ipam_lock():
            return until_done(
                lambda: release(self._gateway, node, key, is_meant, mine, likely, self._session.views.wrote)
            )

    @contextmanager
    def _ipam_lock(self) -> Iterator[None]:
        """The lock file, once however often it is asked for."""
        if self._locked:
            yield
            return
        with ipam_lock(self._gateway.seconds_left()):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def _stored(self) -> Iterator[Endpoint | None]:
        found = self._gateway.read(get_prefix(keys.endpoints_of(self.node))).found[0]
        return (self._readable(partial(read_endpoint, resource(kv.value), boot_id())) for kv in found)

    def check_ready(self) -> None:
        """CniError 11 when the cluster does not want to be written to."""
        found = self._gateway.read(get(keys.READY)).found[0]
        refuse_unready(found[0] if found else None)

    def is_published(self, network: str) -> bool:
        """Whether the cluster takes endpoints and the network has a profile; CniError 11 where it takes none."""
        view = Look(self.node, object_id(network)).read(self._gateway)
        view.check_ready()
        view.check_node(self.node)
        if view.profile is not None:
            check_network(network, view.profile.value)
        return view.profile is not None

    def differs(self, endpoint: Endpoint) -> list[str]:
        """What of an endpoint in the datastore is not as this host has recorded it, in words."""
        key = endpoint.key
        name = keys.endpoint_name(self.node, key.container, key.ifname)
        found, profile = self._gateway.read(get(keys.ENDPOINTS + name), get(keys.profile(object_id(key.network)))).found
        if not found:
            return [f"Calico has no endpoint {name}"]
        want = endpoint_resource(endpoint, self.node, boot_id(), datetime.now(UTC))["spec"]
        have = section(resource(found[0].value), "spec")
        problems = of_fields(name, want, have, "profiles")
        if want["profiles"][0] not in texts(have, "profiles"):
            problems.append(f"Calico's endpoint {name} is not under the profile {want['profiles'][0]}")
        if not profile:
            problems.append(f"Calico has no profile {object_id(key.network)}")
        return problems

    def warnings(self, confs: Sequence[NetConf]) -> tuple[str, ...]:
        """What of the cluster is not as these confs would have it, in words."""
        view = Look(self.node).read(self._gateway)
        found = []
        for check in (view.check_ready, lambda: view.check_node(self.node)):
            try:
                check()
            except CniError as e:
                found.append(f"{e.msg}: {e.details}")
        found += of_pools(confs, partial(pool_problem, view.pools))
        found += self._about_records()
        found += [f"{words}: calico-rkt gc" for words in self.waiting()]
        return tuple(dict.fromkeys(found))

    def felix(self) -> Nodes:
        """How Felix may enforce on the nodes, by the cluster's own configuration."""
        from calico_rkt.plugin.store.etcd3.felix_nodes import felix_nodes

        return felix_nodes(self._gateway)

    def suspects(self) -> tuple[str, ...]:
        """The ids of our published profiles that may say what not every Felix can: one look at all of them."""
        found = self._gateway.read(get_prefix(keys.PROFILES)).found[0]
        ours = (kv for kv in found if b'"code"' in kv.value or b'"notProtocol"' in kv.value)
        return tuple(kv.key.removeprefix(keys.PROFILES) for kv in ours if profile_digest(kv.value))

    def be_patient(self) -> None:
        self._gateway.be_patient()

    def close(self) -> None:
        self._records.close()
        session.give_back(self._session)


def open_etcd3(conf: NetConf) -> Etcd3Store:
    """The store that a conf with datastore_type etcdv3 names."""
    run_dir, lib_dir = folders()
    access = access_of(conf, os.environ)
    return Etcd3Store(run_dir, open_records(), Journal(lib_dir / "journal"), access, node_name(conf, os.environ))
