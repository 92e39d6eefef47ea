"""Endpoints and profiles of one host in, a log under /run and readable profiles under /var/lib out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from ipaddress import ip_network
from pathlib import Path

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.values import dataclass, replace
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key, Published
from calico_rkt.plugin.process.kept import kept
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store import addresses, rows, statefile, unheld
from calico_rkt.plugin.store.folders import RECORDS, RECORDS_OF, folders
from calico_rkt.plugin.store.log.tables import Tables
from calico_rkt.plugin.store.profiles import ProfileFolder
from calico_rkt.plugin.store.protocol import Remains

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.ir.model import Network


@dataclass(frozen=True, slots=True)
class Usage:
    """How many endpoints and addresses of a network this host has, and the subnets that they come from."""

    network: str
    endpoints: int
    addresses: int
    subnets: tuple[Net, ...]


def in_order(subnets: Mapping[str, Iterable[Net]], besides: Collection[str] = ()) -> tuple[Net, ...]:
    """The subnets of all these networks, besides some, each once, sorted."""
    found = {net for name, nets in subnets.items() if name not in besides for net in nets}
    return tuple(sorted(found, key=lambda n: (n.version, int(n.network_address), n.prefixlen)))


class LocalStore:
    """The Store of one host. Any thread and any process may use it at the same time; every call is one transaction.

    run_dir holds state.log, which ends with the boot; lib_dir holds profiles/, which outlives it. verify
    turns a published text into its Network or raises CompileError. warm leaves the file open at close(), for the
    next store of this process. leaves_flows: who gives addresses back forgets no flows of theirs (flows.py).
    """

    link_prefix = "crk"
    datastore = "local"

    def __init__(
        self,
        run_dir: Path,
        lib_dir: Path,
        verify: Callable[[str], Network],
        *,
        warm: bool = False,
        leaves_flows: bool = True,
    ) -> None:
        self.run_dir, self.lib_dir = run_dir, lib_dir
        self._warm = warm
        state, profiles = _paths(run_dir, lib_dir)
        self._state = (statefile.warm if warm else statefile.StateFile)(state)
        self._profiles = ProfileFolder(profiles, verify)
        self._seen: dict[str, frozenset[str]] = {}
        self._guarded: dict[str, str] = {}
        self._flows_left, self._leaves_flows = False, leaves_flows
        self.unheld = unheld.Unheld(self._state)
        self.damaged: dict[str, None] = {}
        """What this store met that can't be read and was left out, in words, once each."""

    def endpoint(self, key: Key) -> Endpoint | None:
        with self._state.read() as tables:
            self._look(tables, key.network)
            return rows.endpoint_of(tables, key)

    def _look(self, tables: Tables, network: str) -> None:
        """What an ADD asks next: unrecorded() and is_settled()."""
        self._seen[network] = rows.subnets_of(tables, network)
        self._guarded[network] = unheld.key(tables, network)

    def add(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        """Record the endpoint, with addresses out of ipam's ranges where it brings none of its own.

        A record of the same nonce is replaced: the endpoint has other addresses by now, or more.
        CniError: 107 recorded already, 101 no free address, 102 an address is taken, 103 one is in no range.
        """
        key = endpoint.key
        with self._state.write() as tables:
            if endpoint.addresses and rows.nonce_of(tables, key) == endpoint.nonce:
                rows.delete(tables, key)
            if rows.is_recorded(tables, key):
                raise CniError(
                    Code.ATTACHMENT_EXISTS,
                    f"{key.ifname} of container {key.container} is attached to network {key.network!r} already",
                )
            return self._added(tables, endpoint, ipam, requested, rows.subnets_of(tables, key.network))

    def add_plain(self, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint | None:
        """Look at the attachment and add() it in one transaction.

        None, and nothing done, where an ADD has more to think of: it is recorded already, or a range is new.
        """
        subnets = _subnets(ipam)
        with self._state.write() as tables:
            self._look(tables, endpoint.key.network)
            known = self._seen[endpoint.key.network]
            if rows.is_recorded(tables, endpoint.key) or not subnets <= known:
                return None
            return self._added(tables, endpoint, ipam, requested, known)

    def _added(
        self,
        tables: Tables,
        endpoint: Endpoint,
        ipam: Ipam,
        requested: Sequence[Address],
        known: frozenset[str],
    ) -> Endpoint:
        network = endpoint.key.network
        chosen = endpoint.addresses or addresses.choose(tables, network, ipam, requested)
        if not chosen:
            raise CniError(Code.INVALID_CONF, f"network {network!r} has no range to take an address from")
        for address in endpoint.addresses or requested:
            rows.refuse_taken(tables, address)
        added = replace(endpoint, addresses=tuple(chosen))
        rows.insert_endpoint(tables, added)
        self._flows_left = any(unheld.is_marked(tables, a) for a in chosen)
        if ipam.ranges:
            rows.record_subnets(tables, network, _subnets(ipam), known)
        return added

    def finish(self, key: Key, nonce: str, result: str) -> None:
        """Record the result of a finished ADD; CniError 11 when its record was taken away meanwhile."""
        with self._state.write(again=True) as tables:
            if not rows.finish(tables, key, nonce, result):
                raise CniError(Code.TRY_AGAIN, f"the attachment of {key.container} was removed while it was made")

    def remove(self, key: Key, nonce: str) -> bool:
        """Forget an endpoint and free its addresses, when its nonce is still this one."""
        with self._state.write() as tables:
            if rows.is_of(tables, key, nonce):
                held = rows.addresses_of(tables, key)
            else:
                found = rows.endpoint_of(tables, key)
                if found is None or found.nonce != nonce:
                    return False
                held = [*found.addresses]
            unheld.mark_flows_left(tables, held if self._leaves_flows else ())
            rows.delete(tables, key)
        return True

    def discard(self, key: Key) -> None:
        """Forget an endpoint whose record can't be read; its addresses are free."""
        with self._state.write() as tables:
            found = rows.addresses_of(tables, key)
            rows.delete(tables, key)
            unheld.mark_flows_left(tables, found if self._leaves_flows else ())

    def remains(self, key: Key) -> Remains:
        with self._state.read() as tables:
            return rows.remains_of(tables, key)

    def forget(self, key: Key) -> bool:  # noqa: ARG002 - everything here is recorded
        return False

    def endpoints(self, network: str | None = None) -> tuple[Endpoint, ...]:
        """All endpoints, sorted by key, or those of one network; asking makes no file."""
        if not self.is_there():
            return ()
        with self._state.read() as tables:
            read = [e for entry in rows.every(tables, network) if (e := self._readable(*entry)) is not None]
        return tuple(sorted(read, key=lambda e: e.key))

    def each(self) -> Iterator[Endpoint]:
        """The same, one after the other as they were recorded, and without what their ADDs answered.

        For who rebuilds the table of ten thousand: the endpoints as such are five times what it needs of them.
        """
        if not self.is_there():
            return
        with self._state.read() as tables:
            entries = rows.recorded(tables)
        for name, value in entries:
            found = self._readable(name, value, None)
            if found is not None:
                yield found

    def _readable(self, name: str, value: str, result: str | None) -> Endpoint | None:
        """One record of many: one that is damaged is named and left out, the others go on."""
        try:
            return rows.from_entry(name, value, result)
        except CniError as e:
            self.note_damage(f"{self._state.path}: {e.msg}")
            return None

    def note_damage(self, words: str) -> None:
        """Keep in mind, and log, once, what can't be read and is left out."""
        if words not in self.damaged:
            self.damaged[words] = None
            LOG.error("%s", words)

    def _nets(self, texts: Iterable[str]) -> Iterator[Net]:
        for text in texts:
            try:
                yield ip_network(text)
            except ValueError as e:
                self.note_damage(f"{self._state.path}: a subnet can't be read and is left out: {e}")

    def used_ids(self) -> frozenset[str]:
        """The ids of all networks that have an endpoint here, one that can't be read among them; makes no file."""
        return self._ids(rows.networks)

    def attached_ids(self) -> frozenset[str]:
        """Of these the ones in which an ADD has finished: all that they need has to be in the kernel."""
        return self._ids(rows.attached)

    def _ids(self, of: Callable[[Tables], Iterable[str]]) -> frozenset[str]:
        if not self.is_there():
            return frozenset()
        with self._state.read() as tables:
            names = of(tables)
        return frozenset(map(object_id, names))

    def ranges(self) -> tuple[Net, ...]:
        """The subnets that networks of this host take addresses from, sorted; those of the newest confs. No file."""
        return in_order(self.subnets())

    def subnets(self) -> dict[str, tuple[Net, ...]]:
        """The same by network."""
        if not self.is_there():
            return {}
        with self._state.read() as tables:
            found = dict(rows.subnets(tables))
        return {name: tuple(self._nets(texts)) for name, texts in found.items()}

    def is_there(self) -> bool:
        """Whether this host has ever recorded anything since it booted; asking makes no file."""
        return self._state.is_there()

    def to_older_builds(self) -> bool:
        """Give all records to builds before the log, which read nothing of this one; False where there are none."""
        return self._state.to_older_builds()

    def usage(self) -> tuple[Usage, ...]:
        """What each network of this host has, sorted by name; no record is read for it."""
        with self._state.read() as tables:
            subnets = dict(rows.subnets(tables))
            endpoints, held = rows.counts(tables)
        return tuple(
            Usage(n, endpoints.get(n, 0), held.get(n, 0), tuple(self._nets(subnets.get(n, ()))))
            for n in sorted({*subnets, *endpoints, *held})
        )

    def unrecorded(self, network: str, ranges: Sequence[Range]) -> tuple[Range, ...]:
        """Those of a network's ranges whose subnet it has taken no address from yet.

        As of this call's look at the attachment, where it was the same network's.
        """
        known = self._seen.get(network)
        if known is None:
            with self._state.read() as tables:
                known = rows.subnets_of(tables, network)
        return tuple(r for r in ranges if str(r.subnet) not in known)

    def is_settled(self, network: str, guards: str) -> bool:
        """Whether no flows of the addresses that add() gave are left, and the network's guards are those of its conf.

        As of this call's looks at the attachment and at the addresses.
        """
        return not self._flows_left and self._guarded.get(network) == guards

    def published(self, network_id: str) -> Published | None:
        return self._profiles.published(network_id)

    def network(self, network_id: str) -> Network | None:
        """What the network's published profile says, verified; None without one."""
        return self._profiles.network(network_id)

    def meant(self, profile: Published) -> Network:
        """What the text of a profile says, verified; one that was kept is the very same Network."""
        return self._profiles.meant(profile)

    def keep_verified(self, network_id: str = "") -> None:
        """See ProfileFolder."""
        self._profiles.keep_verified(network_id)

    def published_text(self, network_id: str) -> str | None:
        """The text of the network's published profile, unverified; None without one."""
        return self._profiles.text(network_id)

    def published_ids(self) -> tuple[str, ...]:
        """The ids of all published profiles, sorted, unverified: one that was edited is among them."""
        return self._profiles.ids()

    def publish(self, profile: Published) -> Published:
        return self._profiles.publish(profile)

    def unpublish(self, network_id: str) -> bool:
        """Delete a profile; False when there is none."""
        return self._profiles.unpublish(network_id)

    def stage(self, texts: Mapping[str, str]) -> None:
        """Write down a change of several profiles by id, before the kernel gets it; see ProfileFolder."""
        self._profiles.stage(texts)

    def is_staged(self) -> bool:
        """Whether a change of profiles is written down: somebody is at it, or died at it. Needs no lock."""
        return self._profiles.is_staged()

    def unfinished(self) -> tuple[str, ...]:
        """The ids of a staged change that is to be committed; one that can't be is told, and stops nothing else.

        Under the policy lock: while somebody applies, half of it is there.
        """
        ids, problem = self._profiles.unfinished()
        if problem:
            self.note_damage(problem)
        return ids

    def commit(self) -> None:
        """Put the staged change in force on disk."""
        self._profiles.commit()

    def abort(self) -> None:
        """Forget the staged change: the kernel refused it."""
        self._profiles.abort()

    def close(self) -> None:
        if not self._warm:
            self._state.close()


def open_local() -> LocalStore:
    """The store of this host."""
    return LocalStore(*folders(), _verify, warm=True)


def open_records(folder: str = RECORDS[0]) -> LocalStore:
    """What this host keeps of attachments whose datastore is elsewhere: a folder for each data model."""
    run_dir, lib_dir = folders()
    return LocalStore(run_dir / folder, lib_dir / folder, _verify, warm=True, leaves_flows=False)


def own_stores() -> dict[str, Callable[[], LocalStore]]:
    """What opens each store that this host has of attachments, by the datastore as a conf names it."""
    return {"local": open_local, **{of: partial(open_records, folder) for of, folder in RECORDS_OF.items()}}


@lru_cache(maxsize=8)
def _paths(run_dir: Path, lib_dir: Path) -> tuple[Path, Path]:
    return run_dir / "state.log", lib_dir / "profiles"


@kept
def _subnets(ipam: Ipam) -> frozenset[str]:
    return frozenset(str(r.subnet) for ranges in ipam.ranges for r in ranges)


def _verify(text: str) -> Network:
    # Here and not above: it imports yaml, which an ADD to a network that is in force must not pay.
    from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3

    return verify_calico_v3(text)
