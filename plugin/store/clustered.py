"""Attachments of this host in, its own records of them and what waits to be given back out: what every cluster needs.

This host keeps a record of its own of every attachment, so a DEL can do all that the kernel needs while etcd is
away. What the cluster has of it is the business of the store of each data model.
"""

from __future__ import annotations

import random
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, NetConf
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import CLUSTER_PREFIX, Endpoint, Key
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store import estranged
from calico_rkt.plugin.store.access import Access, UnreachableError
from calico_rkt.plugin.store.journal import Journal, Release, release_of
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import BrokenEndpointError, ClusterProfiles, Inventory, Remains

if TYPE_CHECKING:
    from calico_rkt.compiler.targets.felix import Nodes

_ATTEMPTS = 100
"""How often a write is tried anew that others were faster than; as often as Calico does."""
_REASONS_SHOWN = 3
T = TypeVar("T")


class NoProfileError(CniError):
    """The network has no profile in the cluster yet."""

    def __init__(self, network: str) -> None:
        super().__init__(Code.PROFILE_UNUSABLE, f"network {network!r} has no profile in Calico's datastore")


class ClusterStore(ABC):
    """The Store of this host in a cluster, for one call: its patience with etcd begins with it."""

    link_prefix = CLUSTER_PREFIX
    datastore = "etcdv3"
    """The data model, as a conf's datastore_type names it."""
    target = "calico-v3"
    """What its policy is written in, as the compiler's target."""
    addresses_have_nonces = False
    """Whether each address in the cluster says by a nonce whose it is: a look into the wrong cluster finds none."""
    profiles: ClusterProfiles

    def __init__(self, run_dir: Path, records: LocalStore, journal: Journal, access: Access, node: str) -> None:
        self.run_dir, self.access, self.node = run_dir, access, node
        self._records, self._journal = records, journal
        self.damaged = records.damaged
        """What was met that can't be read and was left out, in words, once each."""

    @abstractmethod
    def add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """Record the endpoint here, then write it with its addresses; NoProfileError where its network has none."""

    @abstractmethod
    def _stored(self) -> Iterable[Endpoint | None]:
        """What the cluster has of this node: None for endpoints of others', and for what _readable() could not read."""

    @abstractmethod
    def check_ready(self) -> None:
        """CniError 11 when the cluster does not want to be written to."""

    @abstractmethod
    def is_published(self, network: str) -> bool:
        """Whether the cluster takes endpoints and the network has a profile; CniError 11 where it takes none."""

    @abstractmethod
    def differs(self, endpoint: Endpoint) -> list[str]:
        """What of an endpoint in the datastore is not as this host has recorded it, in words."""

    @abstractmethod
    def warnings(self, confs: Sequence[NetConf]) -> tuple[str, ...]:
        """What of the cluster is not as these confs would have it, in words."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    @abstractmethod
    def be_patient(self) -> None:
        """Give each request its own time from here on: this is a command, not a call."""

    @abstractmethod
    def _release(self, node: str, key: Key, nonce: str, addresses: Sequence[Address] = ()) -> bool:
        """Take an endpoint and its addresses away where it is still the one meant; whether there was one.

        nonce "": whatever attachment of ours stands there that this host has no record of.
        """

    def inventory(self) -> Inventory | None:
        """Its pools and endpoints; None where its data model has others than a bundle's."""
        return None

    def felix(self) -> Nodes | None:
        """How Felix may enforce on the nodes, where that limits what a profile may say."""
        return None

    def suspects(self) -> tuple[str, ...]:
        """The ids of our published profiles that may say what not every Felix can."""
        return ()

    def gateways(self) -> dict[int, Address]:
        """The next hops of this node's containers, by IP version, where they are not the usual ones."""
        return {}

    def complete(self) -> str:
        """Finish an apply that was cut short, where one can be; the node it was cut short on, or ""."""
        return ""

    def sweep(self) -> int:
        """Free what a power cut left half stored; how many addresses that were."""
        return 0

    def endpoint(self, key: Key) -> Endpoint | None:
        return self._records.endpoint(key)

    def endpoints(self, network: str | None = None) -> tuple[Endpoint, ...]:
        """The records of this host, and what the cluster has of this node beside them."""
        theirs = tuple(self._stored())  # asked before the records, which an ADD writes first
        recorded = self._records.endpoints(network)
        known = {e.key for e in recorded}
        more = (e for e in theirs if e is not None and e.key not in known and network in (None, e.key.network))
        return (*recorded, *more)

    def _readable(self, read: Callable[[], Endpoint | None]) -> Endpoint | None:
        """One endpoint of many: one of ours that can't be read is named and left out."""
        try:
            return read()
        except BrokenEndpointError as e:
            self._records.note_damage(e.msg)
            return None

    def finish(self, key: Key, nonce: str, result: str) -> None:
        self._records.finish(key, nonce, result)

    def ranges(self) -> tuple[Net, ...]:
        return self._records.ranges()

    def remove(self, key: Key, nonce: str) -> bool:
        """Give endpoint and addresses back, or note down that they are to be given back, where that can't be done."""
        found = self._records.endpoint(key)
        if found is None or found.nonce != nonce:
            return False
        is_of_another = bool(found.members) and not set(found.members) & set(self.access.endpoints)
        sure = self.addresses_have_nonces or not is_of_another  # the same cluster may have other members by now
        node = found.node or self.node  # what Calico called this host at the ADD: its endpoint stands under that name
        released = self._released_or_noted(node, key, nonce, found.addresses if sure else ())
        if is_of_another and not released:
            self._journal.write(release_of(found, self.datastore, "its conf names another cluster now"))
            LOG.warning("%s was attached in another cluster: what that has is noted", key.container)
        return self._records.remove(key, nonce)

    def discard(self, key: Key) -> None:
        """Free what the cluster has of it, whatever attachment of ours that is, and drop the record."""
        self._records.discard(key)
        self.forget(key)

    def remains(self, key: Key) -> Remains:
        return self._records.remains(key)

    def forget(self, key: Key) -> bool:
        """Free what the cluster has of an attachment that this host has no record of; False when it has nothing."""
        return self._released_or_noted(self.node, key, "", ())

    def _released_or_noted(self, node: str, key: Key, nonce: str, addresses: tuple[Address, ...]) -> bool:
        """Whether something was given back. Whatever the cluster refuses is noted: rkt never repeats a DEL."""
        try:
            found = self._released(node, key, nonce, addresses)
        except CniError as e:
            LOG.warning("%s: what %s has is noted, and given back later", e.msg, key.container)
            tried = 0.0 if isinstance(e, UnreachableError) else time.time()
            members = self.access.endpoints
            self._journal.write(Release(members, node, key, nonce, addresses, self.datastore, e.msg, tried))
            return False
        try:
            self.finish_releases()
        except CniError as e:
            LOG.warning("what is noted to be given back waits on: %s", e.msg)
        return found

    def finish_releases(self, *, every: bool = False) -> tuple[Release, ...]:
        """Finish what earlier calls could only note down; what was finished. CniError where the cluster is away.

        What can't be finished is named, and waits: `every` tries it all the same. It stops nothing else.
        """
        done = []
        for noted in self._noted():
            if not (every or noted.is_due):
                continue
            try:
                self._released(noted.node, noted.key, noted.nonce, noted.addresses)
                self._journal.drop(noted)
            except UnreachableError:
                raise
            except CniError as e:
                LOG.error("what %s had can not be given back: %s: %s", noted, e.msg, e.details)
                self._put_off(replace(noted, why=e.msg, tried=time.time()))
                continue
            done.append(noted)
            LOG.info("what %s had is given back now", noted)
        return tuple(done)

    def _put_off(self, release: Release) -> None:
        try:
            self._journal.write(release)
        except CniError as e:
            LOG.error("%s", e.msg)

    def _released(self, node: str, key: Key, nonce: str, addresses: tuple[Address, ...]) -> bool:
        """_release(), where what others wrote into the datastore may be anything."""
        try:
            return self._release(node, key, nonce, addresses)
        except (ValueError, TypeError, KeyError, AttributeError, LookupError) as e:
            LOG.info("%s", "".join(traceback.format_exception(e)))
            raise CniError(
                Code.DATASTORE,
                f"what Calico's datastore has of {key.container} in network {key.network!r} can't be read",
                f"{type(e).__name__}: {e}",
            ) from e

    def _noted(self) -> tuple[Release, ...]:
        """The releases of this cluster that wait."""
        return tuple(self._journal.of(self.access.endpoints, self.datastore))

    def _meant(self, key: Key, nonce: str) -> Callable[[Endpoint], bool]:
        """What says of an endpoint in the datastore whether it is the one that a release is about."""

        def is_meant(theirs: Endpoint) -> bool:
            if nonce:
                return theirs.nonce == nonce
            mine = self._records.endpoint(key)
            return mine is None or mine.nonce != theirs.nonce

        return is_meant

    def _here(self, endpoint: Endpoint) -> Endpoint:
        """As it is recorded: of this cluster and node."""
        return replace(endpoint, members=self.access.endpoints, node=self.node)

    def _recorded_here(self) -> tuple[Endpoint, ...]:
        """The records of finished attachments that this host has in this cluster."""
        ours = set(self.access.endpoints)
        return tuple(e for e in self._records.endpoints() if e.result and ours & set(e.members))

    def _about_records(self) -> list[str]:
        """What status says of attachments that this host has recorded, and that Felix knows nothing of, or no more."""
        before = self._recorded_here()
        theirs = tuple(self._stored()) if before else ()
        lost = () if self.damaged else estranged.lost(self.node, before, theirs, self._recorded_here())
        return [*estranged.of_older_names(self.node, before), *lost]

    def waiting(self) -> list[str]:
        """What status and gc say of noted releases."""
        noted = self._noted()
        if not noted:
            return []
        reasons = sorted({r.why for r in noted if r.why})
        why = f" ({'; '.join(reasons[:_REASONS_SHOWN])})" if reasons else ""
        return [f"{len({(r.node, r.key) for r in noted})} attachments are noted to be given back{why}"]


def of_pools(confs: Sequence[NetConf], problem: Callable[[Net, bool], str]) -> list[str]:
    """What of the pools is not as these confs would have it, in words.

    problem: by a subnet, and whether it is to be masqueraded, what is wrong with the pool that it lies in.
    """
    wanted = [(c, r.subnet) for c in confs for ranges in c.ipam.ranges for r in ranges]
    found = ((c.name, problem(subnet, c.ip_masq)) for c, subnet in wanted)
    return [f"network {name}: {words}" for name, words in found if words]


def of_fields(place: str, want: Mapping[str, object], have: Mapping[str, object], but: str) -> list[str]:
    """The fields of an endpoint in the cluster that are not as wanted, in words; that called `but` may be."""
    return [
        f"{field} of Calico's endpoint {place} is {have.get(field)!r}, not {value!r}"
        for field, value in want.items()
        if field != but and have.get(field) != value
    ]


def until_done(attempt: Callable[[], T | None], words: str = "to write to Calico's datastore") -> T:
    """What an attempt gives that is not None; tried anew, ever more out of step with others.

    CniError 11 where others were always faster; words: to do what.
    """
    for number in range(_ATTEMPTS):
        done = attempt()
        if done is not None:
            return done
        time.sleep(random.uniform(0, 0.002) * min(number, 20))  # noqa: S311 - only to get out of step
    raise CniError(Code.TRY_AGAIN, f"others were faster {_ATTEMPTS} times {words}")
