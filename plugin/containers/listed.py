"""The records of this host in, its endpoints with container, network, address and state out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.attach.life import Life, survey
from calico_rkt.plugin.containers.age import since
from calico_rkt.plugin.enforce.differences import unrecorded
from calico_rkt.plugin.enforce.nft import transactions
from calico_rkt.plugin.enforce.nft.messages import group_key, own_key
from calico_rkt.plugin.enforce.nft.ruleset import keys_of
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import state
from calico_rkt.plugin.link.netlink import plain
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.publish.datastores import opened_local
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.runtime.names import names_of
from calico_rkt.plugin.store.local import LocalStore, own_stores

_STATES = {Life.NAMED: "attached", Life.HIDDEN: "no path", Life.ELSEWHERE: "elsewhere", Life.OVER: "gone"}
SHORT = 12
"""Characters of a container's id that are shown, as runtimes do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint as it is shown; datastore is as a conf names it: local, etcdv3 or etcdv2.

    policy is how its network stands, as status says, where the kernel has rules for its interface; else why not.
    since is when its network namespace was made, as far as that can be told.
    """

    network: str
    container: str
    name: str
    ifname: str
    addresses: tuple[str, ...]
    mac: str
    host_ifname: str
    netns: str
    datastore: str
    state: str
    policy: str
    since: str = ""

    def is_meant(self, word: str) -> bool:
        """Whether a word of the command line means it."""
        return bool(word) and (word in (self.network, *self.addresses) or self.is_container(word) or self._has(word))

    def _has(self, word: str) -> bool:
        """Whether a word is one of its addresses, however it is written."""
        try:
            return str(ip_address(word)) in self.addresses
        except ValueError:
            return False

    def is_container(self, word: str) -> bool:
        """Whether a word means its container: a name, an id, or the begin of that."""
        return bool(word) and (word in self.names or self.container.startswith(word))

    @property
    def names(self) -> tuple[str, ...]:
        """What people call its container: api, and prod/api."""
        return tuple(filter(None, (self.name, self.name.rpartition("/")[2])))

    @property
    def shown(self) -> str:
        """Its container's name, else the begin of its id."""
        return self.name or self.container[:SHORT]


def listed(host: Decided) -> tuple[list[Row], list[str]]:
    """The endpoints by network and container, and what of the records can't be read. Raises CniError."""
    found: list[tuple[Endpoint, str]] = []
    damaged: list[str] = []
    with opened_local(host.known, host.files) as local:
        policies = {s.network_id: s.state for s in local.states()}
        if words := unrecorded(local.store):
            damaged.append(words)
        found += [(e, local.name) for e in local.store.endpoints()]
        damaged += local.store.damaged
    clusters = {datastore: opened for datastore, opened in own_stores().items() if datastore != LOCAL}
    for datastore, opened in clusters.items():
        store = opened()
        try:
            found += [(e, datastore) for e in _endpoints(store, damaged)]
        finally:
            store.close()
    datastores = dict(found)
    names = names_of({e.key.container for e in datastores})
    enforced = _enforced() if LOCAL in datastores.values() else _Enforced()
    rows = [_row(e, life, datastores[e], names, policies, enforced) for e, life in survey(datastores)]
    return sorted(rows, key=lambda r: (r.network, r.container, r.ifname)), damaged


def has_records() -> bool:
    """Whether this host has recorded anything since it booted; asking makes no file."""
    for opened in own_stores().values():
        store = opened()
        try:
            if store.is_there():
                return True
        finally:
            store.close()
    return False


def _endpoints(store: LocalStore, damaged: list[str]) -> Sequence[Endpoint]:
    if not store.is_there():
        return ()
    try:
        return store.endpoints()
    except CniError as e:  # the others' records are readable all the same
        damaged.append(e.msg)
        return ()
    finally:
        damaged += store.damaged


@dataclass(frozen=True, slots=True)
class _Enforced:
    """The interfaces that the kernel has a network's rules for; why it has none for anybody, where that is so."""

    ifnames: frozenset[str] = frozenset()
    why: str = ""


_NOT_ENFORCED = {
    Standing.CLOSED: "closed",
    Standing.NONE: "not in force",
    Standing.BROKEN: "not in force",
    Standing.HELD: "not known",
}


def _enforced() -> _Enforced:
    found = standing()
    if found in _NOT_ENFORCED:
        return _Enforced(why=_NOT_ENFORCED[found])
    with transactions.held() as socket:
        if found is Standing.OLDER:  # before the third layout, each interface led to its network's chains by its name
            return _Enforced(frozenset(map(plain, keys_of(socket, "from_endpoint"))))
        ends, groups = keys_of(socket, "endpoints"), keys_of(socket, "from_network")
    with host_socket() as host:
        here = [(name, group) for name, _, group in state.groups(host)]
    return _Enforced(frozenset(n for n, g in here if own_key(n, g) in ends and group_key(g) in groups))


def _row(
    endpoint: Endpoint,
    life: Life,
    datastore: str,
    names: Mapping[str, str],
    policies: Mapping[str, str],
    enforced: _Enforced,
) -> Row:
    key = endpoint.key
    policy = policies.get(object_id(key.network), "") if datastore == LOCAL else "Felix"
    if datastore == LOCAL and endpoint.result and life in (Life.NAMED, Life.HIDDEN):
        closed = "" if endpoint.host_ifname in enforced.ifnames else "closed"
        policy = enforced.why or closed or policy
    return Row(
        network=key.network,
        container=key.container,
        name=names.get(key.container, ""),
        ifname=key.ifname,
        addresses=tuple(map(str, endpoint.addresses)),
        mac=endpoint.mac,
        host_ifname=endpoint.host_ifname,
        netns=endpoint.netns,
        datastore=datastore,
        state=_STATES[life] if endpoint.result or life is Life.OVER else "unfinished",
        policy=policy,
        since=since(endpoint) if life is Life.NAMED else "",
    )
