"""A chain of plugins, a key and a namespace in; an attachment made, found again or taken away, out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calico_rkt.compiler.conf.chain import PORTS, Chain
from calico_rkt.plugin.attach.life import Life, leads_there, survey
from calico_rkt.plugin.cni.ports import Port, ports_in
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import loopback, pair
from calico_rkt.plugin.link.netns import identity
from calico_rkt.plugin.link.state import PREFIX
from calico_rkt.plugin.model import CLUSTER_PREFIX, Endpoint, Key
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.locks import chain_lock, ports_lock
from calico_rkt.plugin.runtime import chain as plugins
from calico_rkt.plugin.runtime.families import families_of
from calico_rkt.plugin.runtime.namespaces import NAMED
from calico_rkt.plugin.runtime.networks import chain_of_network
from calico_rkt.plugin.runtime.records import DamagedError, Record, Records
from calico_rkt.plugin.runtime.wishes import Wishes, refuse_unserved
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.local import own_stores

_AT_ONCE = 0.05
"""Seconds that a sweep waits for who works on an attachment: it is no leftover then."""
_SOME_PORT = Wishes(ports=(Port(1, 1),))
"""portmap's DEL takes every port of a container away, where it is told of any."""


@dataclass(frozen=True, slots=True)
class Attached:
    """The CNI result, and whether the attachment was there before."""

    result: Mapping[str, Any]
    before: bool


def attach(chain: Chain, key: Key, netns: str, wishes: Wishes) -> Attached:
    """Run the ADD of the whole chain for the namespace at this path; whatever fails leaves nothing.

    The same again is answered with the result of the first time. What an attachment left whose namespace is gone is
    taken away first, also where it has a port that is asked for. CniError 107 where the key is in use otherwise, 111
    where a living attachment has the port, else as a plugin gave it.
    """
    refuse_unserved(chain, wishes)
    path = plugins.folders_of(os.environ)
    plugins.refuse_missing(chain, path)
    run_dir, records = folders()[0], Records(folders()[0])
    _free_ports(key, chain, wishes.ports, records)
    with chain_lock(run_dir, key):
        wanted = Record(key, netns, _identity(netns), chain, path, wishes.to_json())
        known, endpoint = records.get(key), _living(key)
        if endpoint is not None:
            _refuse_another(known, endpoint, netns)
        if known is not None:
            if endpoint is not None and known.result is not None:
                _refuse_differing(known, wanted)
                return Attached(known.result, before=True)
            _end(known, records)
        return Attached(_added(wanted, records), before=False)


def _added(wanted: Record, records: Records) -> Mapping[str, Any]:
    """Recorded before and after: who is killed in between leaves what detach() needs."""
    loopback.bring_up(wanted.netns)
    ports = ports_in(wanted.capabilities.get(PORTS))
    with ports_lock(folders()[0]) if ports else nullcontext():
        for holder, shared in _holding(wanted.key, wanted.chain, ports, records):
            raise _port_taken(holder, shared)
        records.put(wanted)
    try:
        result = plugins.add(wanted.chain, _call(wanted))
    except plugins.HalfDoneError:
        raise
    except BaseException:
        records.remove(wanted.key)
        raise
    try:
        records.put(replace(wanted, result=result))
    except CniError:
        with signals.undoing():
            _end(wanted, records)
        raise
    return result


def _holding(key: Key, chain: Chain, ports: Sequence[Port], records: Records) -> Iterator[tuple[Record, Port]]:
    """The other attachments that were given one of these ports, each with the first that it has, too."""
    for found in records.all() if ports else ():
        if isinstance(found, Record) and found.key != key and (shared := _shared(found, chain, ports)):
            yield found, shared


def _shared(record: Record, chain: Chain, ports: Sequence[Port]) -> Port | None:
    """The first of the ports of a container of this chain that packets for the recorded one come by, too."""
    its = ports_in(record.capabilities.get(PORTS))
    near = [(p, q) for p in ports for q in its if p.clashes(q)]
    if not near:
        return None
    families = families_of(chain), families_of(record.chain, record.result)
    return next((p for p, q in near if p.clashes(q, *families)), None)


def _free_ports(key: Key, chain: Chain, ports: Sequence[Port], records: Records) -> None:
    """Take away what is gone and still has one of the ports; CniError 111 where somebody who lives has one.

    No lock is held here but that of who is gone: of two that wait for each other's none would ever go on.
    """
    for holder, shared in _holding(key, chain, ports, records):
        if not _may_live(holder.key):
            with chain_lock(folders()[0], holder.key):
                known = records.get(holder.key)
                if known is None or _shared(known, chain, ports) is None:
                    continue
                if not _may_live(holder.key):
                    _end(known, records)
                    continue
        raise _port_taken(holder, shared)


def _may_live(key: Key) -> bool:
    """Not sure without a record: its host end says so then."""
    found = recorded(key)
    return _has_host_end(key) if found is None else _lives(found)


def _port_taken(holder: Record, one: Port) -> CniError:
    key = holder.key
    ifname = f" --ifname {key.ifname}" if key.ifname != "eth0" else ""
    return CniError(
        Code.PORT_TAKEN,
        f"port {one.host}/{one.protocol} of this host is published already, by {key}",
        f"choose another port; calico-rkt detach {key.network} --id {key.container}{ifname} frees it",
    )


def detach(key: Key) -> bool:
    """Run the DEL of the whole chain as the ADD ran it, whether or not the namespace is there; False if none is known.

    Where the record is damaged, the network's conf as it is now has to do.
    CniError where a plugin failed; the record stays then, and a second time may succeed. CniError 107 where a runtime
    made the attachment: it would not know that its container has no network any more.
    """
    run_dir, records = folders()[0], Records(folders()[0])
    with chain_lock(run_dir, key):
        try:
            known = records.get(key)
        except DamagedError:
            path = plugins.folders_of(os.environ)
            known = Record(key, "", (0, 0), chain_of_network(key.network, ()), path, _SOME_PORT.to_json())
        if known is not None:
            _end(known, records)
            return True
    endpoint = _living(key)
    if endpoint is not None:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{key} was attached by a runtime, which has to take it away; nothing was done",
            f"calico-rkt gc --force --attachment {key} frees it all the same",
        )
    return False


def publishing(container: str) -> list[Key]:
    """The attachments of a container that attach() gave published ports."""
    found = [r for r in Records(folders()[0]).all() if isinstance(r, Record)]
    return [r.key for r in found if r.key.container == container and r.capabilities.get(PORTS)]


def unpublish(key: Key) -> None:
    """Take the published ports of an attachment away, and nothing else: another network of its container has them.

    CniError where a plugin failed; the record says then that they are there.
    """
    records = Records(folders()[0])
    with chain_lock(folders()[0], key):
        known = records.get(key)
        if known is None:
            return
        plugins.delete(replace(known.chain, plugins=known.chain.port_mappers), _call(known), known.result)
        records.put(replace(known, capabilities={k: v for k, v in known.capabilities.items() if k != PORTS}))


def made_here() -> list[Key]:
    """The attachments that attach() made and nobody has taken away."""
    return [r.key for r in Records(folders()[0]).all() if isinstance(r, Record)]


def sweep(*, dry_run: bool) -> Iterator[Key | CniError]:
    """Run the DEL for what attach() made and whose endpoint somebody freed (gc, an ADD that needed the room).

    Gives each such key, or the error in its place. dry_run: nothing is run.
    """
    run_dir, records = folders()[0], Records(folders()[0])
    for found in records.all():
        if isinstance(found, CniError):
            yield found
            continue
        try:
            if recorded(found.key) is not None:
                continue
        except CniError as e:
            yield e
            continue
        try:
            with chain_lock(run_dir, found.key, patience=_AT_ONCE):
                known = records.get(found.key)
                if known is None or recorded(found.key) is not None:
                    continue
                if _has_host_end(found.key):
                    raise CniError(
                        Code.IO,
                        f"{found.key} is attached, and the record of it is not there; it was left as it is",
                        "put the state file back; calico-rkt detach, as it was attached, takes it away",
                    )
                if not dry_run:
                    _end(known, records)
            yield found.key
        except CniError as e:
            if e.code != Code.TRY_AGAIN:
                yield e


def _has_host_end(key: Key) -> bool:
    """Whether its link is there: it goes before its record, so nobody has freed it."""
    return any(pair.owner(pair.host_ifname(key, prefix)) for prefix in (PREFIX, CLUSTER_PREFIX))


def _end(known: Record, records: Records) -> None:
    plugins.delete(known.chain, _call(known), known.result)
    records.remove(known.key)


def _call(record: Record) -> plugins.Call:
    """A path that leads elsewhere by now is not told: it may be another container's."""
    there = identity(record.netns) == record.identity
    return plugins.Call(record.key, record.netns if there else "", record.folders, record.capabilities)


def _identity(netns: str) -> tuple[int, int]:
    """CniError 3 where nothing is at the path."""
    found = identity(netns)
    if found is None:
        cure = f"ip netns add {Path(netns).name} makes it" if Path(netns).parent == NAMED else "has its container gone?"
        raise CniError(Code.UNKNOWN_CONTAINER, f"there is no network namespace at {netns}", cure)
    return found


def _refuse_another(known: Record | None, endpoint: Endpoint, netns: str) -> None:
    if known is None:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{endpoint.key} is attached already, by a runtime",
            f"in {endpoint.netns}; --id and --ifname make it another one",
        )
    if not leads_there(netns, endpoint):
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{endpoint.key} is attached already, in another network namespace that lives: {endpoint.netns}",
            "detach it first; --id and --ifname make it another one",
        )


def _refuse_differing(known: Record, wanted: Record) -> None:
    """The same key with other wishes or another conf: what holds is not what is asked for."""
    if known.capabilities != wanted.capabilities:
        what = "other addresses, MAC or ports"
    elif known.chain != wanted.chain:
        what = "another conf"
    else:
        return
    raise CniError(Code.ATTACHMENT_EXISTS, f"{known.key} is attached already, with {what}", "detach it first")


def _living(key: Key) -> Endpoint | None:
    found = recorded(key)
    return found if found is not None and _lives(found) else None


def _lives(endpoint: Endpoint) -> bool:
    ((_, life),) = survey([endpoint])
    return life is not Life.OVER


def recorded(key: Key) -> Endpoint | None:
    """What this host's records have of it, of its own datastore or a cluster's."""
    for opened in own_stores().values():
        store = opened()
        try:
            found = store.endpoint(key) if store.is_there() else None
        finally:
            with suppress(CniError):
                store.close()
        if found is not None:
            return found
    return None
