"""Confs in; what this host has of clusters that none of them names, in words, out: nobody else would tell of it."""

from __future__ import annotations

from collections.abc import Iterable

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import cut_short
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store.access import access_of
from calico_rkt.plugin.store.folders import RECORDS_OF, folders
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.local import open_records

_SHOWN = 3


def unclaimed(confs: Iterable[NetConf]) -> tuple[str, ...]:
    """What is noted to be given back to such clusters, and what is attached in them."""
    named = {(c.datastore_type, m) for c in confs if c.datastore_type != "local" for m in access_of(c).endpoints}
    unread: list[str] = []
    noted: dict[tuple[str, ...], list[str]] = {}
    attached: dict[tuple[str, ...], list[str]] = {}
    for release in Journal(folders()[1] / "journal").all():
        if not _is_named(named, release.datastore, release.members):
            noted.setdefault(release.members, []).append(str(release).replace(" ", "/"))
    for datastore, folder in RECORDS_OF.items():
        records = open_records(folder)
        try:
            endpoints = records.endpoints() if records.is_there() else ()
        except CniError as e:
            unread.append(f"{e.msg}: {e.details}")
            continue
        for endpoint in endpoints:
            if not _is_named(named, datastore, endpoint.members):
                attached.setdefault(endpoint.members, []).append(str(endpoint.key))
    return (
        *unread,
        *(f"{_few(who)} is noted to be given back to {_cluster(to)}" for to, who in noted.items()),
        *(f"{_few(who)} is attached in {_cluster(to)}" for to, who in attached.items()),
    )


def _is_named(named: set[tuple[str, str]], datastore: str, members: tuple[str, ...]) -> bool:
    """Of an attachment that an older program recorded, any cluster of the data model may be it."""
    if not members:
        return any(of == datastore for of, _ in named)
    return any((datastore, member) in named for member in members)


def _few(who: list[str]) -> str:
    return cut_short(who, _SHOWN)


def _cluster(members: tuple[str, ...]) -> str:
    place = f"the cluster of {', '.join(members)}" if members else "a cluster"
    return f"{place}, which no conf here names: calico-rkt gc -C FOLDER, with one that does"
