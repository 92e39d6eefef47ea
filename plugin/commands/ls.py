"""The records of this host in, its endpoints with container, network and address printed out: `calico-rkt ls`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.attach.life import Life, survey
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.datastores import opened_local
from calico_rkt.plugin.publish.host_confs import Decided, decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.runtime.names import names_of
from calico_rkt.plugin.store.local import LocalStore, own_stores

EPILOG = """\
examples:
  calico-rkt ls                  every endpoint of this host
  calico-rkt ls web              those of a network, or of a container: its name, its id or the begin of it, its address
  calico-rkt ls --format json

STATE is "attached"; "gone", where its network namespace is (calico-rkt gc frees it); "no path", where that lives but
nothing leads there; "elsewhere", where another network namespace has its host end; "unfinished", while its ADD goes on
or after one that was killed. POLICY is how its network stands, as calico-rkt status says. A container's name is read
from podman's, Docker's or containerd's files, where those have one.

exit status: 0 printed, 1 nothing by that name, or a record can't be read, 2 bad usage"""

_STATES = {Life.NAMED: "attached", Life.HIDDEN: "no path", Life.ELSEWHERE: "elsewhere", Life.OVER: "gone"}
_SHORT = 12
"""Characters of a container's id that are shown, as runtimes do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint as it is shown; datastore is as a conf names it: local, etcdv3 or etcdv2."""

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

    def is_meant(self, word: str) -> bool:
        """Whether a word of the command line means it."""
        names = (self.network, self.name, self.name.rpartition("/")[2], *self.addresses)
        return bool(word) and (word in names or self.container.startswith(word))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("which", nargs="?", metavar="WHICH", help="a container, a network or an address (default: all)")
    options.add_confs(parser)
    options.add_profiles(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print them; the exit status. Raises CniError."""
    open_log("info")
    rows, damaged = _rows(decided(args.confs, args.profiles))
    shown = [row for row in rows if args.which is None or row.is_meant(args.which)]
    if args.format == "json":
        print(document("ls", {"endpoints": [_values(row) for row in shown]}), end="")
    else:
        print("\n".join(_table(shown)), end="\n" if shown else "")
    for line in damaged:
        print(f"calico-rkt: {line}", file=sys.stderr)
    if not shown:
        what = "there is no endpoint on this host" if args.which is None else f"no endpoint is {args.which!r}'s"
        print(f"calico-rkt: {what}", file=sys.stderr)
    return int(bool(damaged) or (args.which is not None and not shown))


def _rows(host: Decided) -> tuple[list[Row], list[str]]:
    """The endpoints by network and address, and what of the records can't be read."""
    found: list[tuple[Endpoint, str]] = []
    damaged: list[str] = []
    with opened_local(host.known, host.files) as local:
        policies = {s.network_id: s.state for s in local.states()}
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
    rows = [_row(e, life, datastores[e], names, policies) for e, life in survey(datastores)]
    return sorted(rows, key=lambda r: (r.network, r.container, r.ifname)), damaged


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


def _row(endpoint: Endpoint, life: Life, datastore: str, names: Mapping[str, str], policies: Mapping[str, str]) -> Row:
    key = endpoint.key
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
        policy=policies.get(object_id(key.network), "") if datastore == LOCAL else "Felix",
    )


def _values(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__slots__} | {"addresses": list(row.addresses)}


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Columns as wide as what stands in them."""
    if not rows:
        return
    head = ("NETWORK", "CONTAINER", "NAME", "IFNAME", "ADDRESS", "HOST END", "STATE", "POLICY")
    lines = [head, *map(_cells, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        yield "  ".join(f"{word:<{width}}" for word, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    addresses = ",".join(row.addresses)
    shown = (row.network, row.container[:_SHORT], row.name, row.ifname, addresses, row.host_ifname, row.state)
    return tuple(word or "-" for word in (*shown, row.policy))
