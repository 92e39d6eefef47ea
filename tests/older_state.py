"""A path in, the state file of an older build there out, as that makes it; and how such a build would see it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_SCHEMA = """
PRAGMA application_id = 1668442996;
PRAGMA user_version = 1;
CREATE TABLE boot (id TEXT NOT NULL);
CREATE TABLE endpoints (
    network TEXT, container TEXT, ifname TEXT, nonce TEXT NOT NULL,
    netns TEXT NOT NULL, netns_dev INTEGER NOT NULL, netns_inode INTEGER NOT NULL,
    host_ifname TEXT NOT NULL, mac TEXT NOT NULL, ip_masq INTEGER NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (network, container, ifname)) WITHOUT ROWID;
CREATE TABLE addresses (
    address TEXT PRIMARY KEY, network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    position INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX addresses_by_key ON addresses (network, container, ifname, position);
CREATE TABLE subnets (network TEXT, subnet TEXT, PRIMARY KEY (network, subnet)) WITHOUT ROWID;
CREATE TABLE used (first TEXT PRIMARY KEY, last TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (network TEXT, range_set INTEGER, last TEXT NOT NULL, PRIMARY KEY (network, range_set))
    WITHOUT ROWID;
CREATE TABLE guards (network TEXT, net TEXT, PRIMARY KEY (network, net)) WITHOUT ROWID;
CREATE TABLE guarded (network TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE flows_left (address TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE flows_unsure (net TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE origins (network TEXT, container TEXT, ifname TEXT, nonce TEXT, home_dev INTEGER, home_inode INTEGER,
    members TEXT, node TEXT, PRIMARY KEY (network, container, ifname)) WITHOUT ROWID;
"""
_ROWS = """
INSERT INTO endpoints VALUES ('web', 'c1', 'eth0', 'aa', '/n1', 4, 7, 'crk1', '02:01', 1, '{"ips": []}');
INSERT INTO endpoints VALUES ('web', 'c2', 'eth0', 'bb', '/n2', 4, 8, 'crk2', '02:02', 0, '');
INSERT INTO addresses VALUES ('6:fd000001000000000000000000000001', 'web', 'c1', 'eth0', 1);
INSERT INTO addresses VALUES ('4:0a010001', 'web', 'c1', 'eth0', 0);
INSERT INTO addresses VALUES ('4:0a010002', 'web', 'c2', 'eth0', 0);
INSERT INTO used VALUES ('4:0a010001', '4:0a010002');
INSERT INTO used VALUES ('6:fd000001000000000000000000000001', '6:fd000001000000000000000000000001');
INSERT INTO cursors VALUES ('web', 0, '4:0a010002');
INSERT INTO cursors VALUES ('web', 1, '6:fd000001000000000000000000000001');
INSERT INTO subnets VALUES ('web', '10.1.0.0/29');
INSERT INTO subnets VALUES ('web', 'fd00:1::/64');
INSERT INTO guards VALUES ('web', '10.1.0.0/29');
INSERT INTO guards VALUES ('', '10.9.0.0/24');
INSERT INTO guarded VALUES ('web', 'made from this');
INSERT INTO flows_left VALUES ('4:0a010005');
INSERT INTO flows_unsure VALUES ('10.3.0.0/24');
INSERT INTO origins VALUES ('web', 'c1', 'eth0', 'aa', 4, 99, 'http://a' || char(10) || 'http://b', 'node1');
INSERT INTO origins VALUES ('web', 'c2', 'eth0', 'an older nonce', 4, 99, 'http://a', 'node1');
"""


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def make(path: Path, *, rows: str = _ROWS, of: str = "") -> Path:
    """A state file of before at path, of this boot or of another; its rows as SQL."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = PERSIST")
        db.executescript(_SCHEMA)
        db.execute("INSERT INTO boot VALUES (?)", (of or boot(),))
        db.executescript(rows)
        db.commit()
    path.chmod(0o600)
    return path


def seen(path: Path) -> dict[str, list[tuple[object, ...]]] | str:
    """Every table of such a file, or in words why an older build refuses it."""
    with closing(sqlite3.connect(path)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != 1:
            return f"version {version}"
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
