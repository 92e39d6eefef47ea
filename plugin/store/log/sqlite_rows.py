"""The rows of an older build's state file in, tables out, and back; what is damaged in them stays so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from calico_rkt.plugin.store.log.tables import (
    CURSORS,
    ENDPOINTS,
    FLOWS_LEFT,
    FLOWS_UNSURE,
    GUARDS,
    RESULTS,
    SUBNETS,
    Tables,
)
from calico_rkt.plugin.store.log.texts import text_of

_SCHEMA = (
    "boot (id TEXT NOT NULL)",
    (
        "endpoints (network TEXT, container TEXT, ifname TEXT, nonce TEXT NOT NULL, netns TEXT NOT NULL, "
        "netns_dev INTEGER NOT NULL, netns_inode INTEGER NOT NULL, host_ifname TEXT NOT NULL, mac TEXT NOT NULL, "
        "ip_masq INTEGER NOT NULL, result TEXT NOT NULL, PRIMARY KEY (network, container, ifname)) WITHOUT ROWID"
    ),
    (
        "addresses (address TEXT PRIMARY KEY, network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL, "
        "position INTEGER NOT NULL) WITHOUT ROWID"
    ),
    "subnets (network TEXT, subnet TEXT, PRIMARY KEY (network, subnet)) WITHOUT ROWID",
    "used (first TEXT PRIMARY KEY, last TEXT NOT NULL) WITHOUT ROWID",
    "cursors (network TEXT, range_set INTEGER, last TEXT NOT NULL, PRIMARY KEY (network, range_set)) WITHOUT ROWID",
)
_ADDED = (
    "guards (network TEXT, net TEXT, PRIMARY KEY (network, net)) WITHOUT ROWID",
    "guarded (network TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID",
    "flows_left (address TEXT PRIMARY KEY) WITHOUT ROWID",
    "flows_unsure (net TEXT PRIMARY KEY) WITHOUT ROWID",
    (
        "origins (network TEXT, container TEXT, ifname TEXT, nonce TEXT, home_dev INTEGER, home_inode INTEGER, "
        "members TEXT, node TEXT, PRIMARY KEY (network, container, ifname)) WITHOUT ROWID"
    ),
)
"""What a still older build's file may lack."""
_KEY = "network, container, ifname"
_FIELDS = "nonce, netns, netns_dev, netns_inode, host_ifname, mac, ip_masq"
_ORIGIN = "home_dev, home_inode, members, node"


def read(db: sqlite3.Connection) -> Tables:
    """All that is recorded there, in the transaction of who asks."""
    db.text_factory = lambda data: data.decode(errors="backslashreplace")
    for table in _ADDED:
        db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    tables = Tables()
    held: dict[tuple[object, ...], list[object]] = {}
    for address, *key in db.execute(f"SELECT address, {_KEY} FROM addresses ORDER BY {_KEY}, position"):  # noqa: S608
        held.setdefault(tuple(key), []).append(_plain(address))
    for *row, result in db.execute(
        f"SELECT {_KEY}, {_FIELDS}, {_ORIGIN}, result FROM endpoints "  # noqa: S608 - our own words
        "LEFT JOIN origins USING (network, container, ifname, nonce)"
    ):
        name, fields = text_of([*map(_plain, row[:3])]), [*map(_plain, row[3:])]
        tables.put(ENDPOINTS, name, f"{text_of(held.pop(tuple(row[:3]), []))}\t{text_of(fields)}")
        if result != "":
            tables.put(RESULTS, name, text_of([fields[0], _plain(result)]))
    for key, addresses in held.items():  # of an endpoint that has no row: they stay taken until it is discarded
        tables.put(ENDPOINTS, text_of([*map(_plain, key)]), f"{text_of(addresses)}\tnull")
    for network, number, last in db.execute("SELECT network, range_set, last FROM cursors"):
        tables.put(CURSORS, text_of([_plain(network), _plain(number)]), text_of(_plain(last)))
    for network, subnets in _grouped(db.execute("SELECT network, subnet FROM subnets ORDER BY network, subnet")):
        tables.put(SUBNETS, text_of(network), text_of(subnets))
    made_from = {_plain_key(network): _plain(key) for network, key in db.execute("SELECT network, key FROM guarded")}
    guards = dict(_grouped(db.execute("SELECT network, net FROM guards ORDER BY network, net")))
    for network in sorted({*made_from, *guards}):
        tables.put(GUARDS, text_of(network), text_of([made_from.get(network), guards.get(network, [])]))
    for table, of in ((FLOWS_LEFT, "address FROM flows_left"), (FLOWS_UNSURE, "net FROM flows_unsure")):
        for (value,) in db.execute(f"SELECT {of}"):
            tables.put(table, text_of(_plain(value)))
    return tables


def write(db: sqlite3.Connection, tables: Tables, boot: str) -> None:
    """Make an older build's tables, with all of these records, in the transaction of who asks."""
    for table in (*_SCHEMA, *_ADDED):
        db.execute(f"CREATE TABLE {table}")
    db.execute("CREATE INDEX addresses_by_key ON addresses (network, container, ifname, position)")
    db.execute("INSERT INTO boot VALUES (?)", (boot,))
    for name, value in tables.of(ENDPOINTS).items():
        key = json.loads(name)
        held, _, rest = value.partition("\t")
        for position, address in enumerate(json.loads(held)):
            _put(db, "addresses", address, *key, position)
        fields = json.loads(rest)
        if fields is not None:
            result = json.loads(tables.get(RESULTS, name) or '[null, ""]')[1]
            _put(db, "endpoints", *key, *fields[:7], result)
            _put(db, "origins", *key, fields[0], *fields[7:])
    for version, first, last in tables.held.used.intervals():
        digits = 8 if version == 4 else 32
        _put(db, "used", f"{version}:{first:0{digits}x}", f"{version}:{last:0{digits}x}")
    for name, value in tables.of(CURSORS).items():
        _put(db, "cursors", *json.loads(name), json.loads(value))
    for name, value in tables.of(SUBNETS).items():
        for subnet in json.loads(value):
            _put(db, "subnets", json.loads(name), subnet)
    for name, value in tables.of(GUARDS).items():
        made_from, nets = json.loads(value)
        if made_from is not None:
            _put(db, "guarded", json.loads(name), made_from)
        for net in nets:
            _put(db, "guards", json.loads(name), net)
    for table, letter in (("flows_left", FLOWS_LEFT), ("flows_unsure", FLOWS_UNSURE)):
        for name in tables.of(letter):
            _put(db, table, json.loads(name))


def _put(db: sqlite3.Connection, table: str, *values: object) -> None:
    places = ", ".join("?" * len(values))
    db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", [*map(_raw, values)])  # noqa: S608 - our own words


def _grouped(rows: Iterable[tuple[object, object]]) -> Iterator[tuple[str, list[object]]]:
    found: dict[str, list[object]] = {}
    for network, value in rows:
        found.setdefault(_plain_key(network), []).append(_plain(value))
    yield from found.items()


def _plain_key(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _plain(value: object) -> object:
    """A value as JSON can say it; what is no text stays none."""
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _raw(value: object) -> object:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return "" if value is None else value
