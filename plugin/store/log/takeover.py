"""The state file of older builds in, a log of the same records out; and back, for who goes back to such a build.

Older builds keep their records in sqlite, in state.sqlite of version 1. The rule, at any moment, whoever dies: a log
that stands under its own name is the truth, and state.sqlite has version 2 then, which an older build refuses in each
of its transactions. Where no log stands there, state.sqlite of version 1 is the truth; one of version 2 names the file
beside it that is to become the log, and where that is missing, too, there are no records.

So a log is written whole under the name that is then put into state.sqlite, in the transaction that makes it version 2;
only who sees version 2 under sqlite's write lock gives it its own name, and only such a one makes a new log at all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.log import file, older, sqlite_rows
from calico_rkt.plugin.store.log.tables import Tables

_BUSY_SECONDS = 30.0
_NOTE = "CREATE TABLE log (name TEXT NOT NULL)"


def settled(path: Path, boot: str, *, make: bool) -> bool:
    """Whether a log stands at path now, where none did: taken over from an older build, or made anew.

    make: also where nobody has recorded anything. CniError where what an older build left can't be used; it stays.
    """
    before = path.with_name(older.NAME)
    while True:
        if not before.exists():
            if not make:
                return path.exists()
            _put_note(before, path)
        with _alone(before) as db:
            if path.exists():
                return True
            if _version(db, before) == older.VERSION:
                _take(db, path, boot)
                continue  # what follows is for all who find version 2
            named = path.with_name(_name(db, before, path))
            if named.exists():
                named.rename(path)
                atomic.sweep(path)
                return True
            if make:
                os.close(file.put_anew(path, file.whole(boot, Tables())[0]))
            return make


def hand_back(path: Path, boot: str, tables: Tables) -> None:
    """Put all records into state.sqlite again, for older builds, and take the log away; who calls has it locked."""
    before = path.with_name(older.NAME)
    if not before.exists():
        _put_note(before, path)
    with _alone(before) as db:
        if _version(db, before) == older.VERSION:
            raise CniError(Code.IO, f"{before} is an older build's, and {path} stands beside it", "move one away")
        named = path.with_name(_name(db, before, path))
        path.rename(named)  # who finds it there puts it back, as long as the version is 2
        try:
            db.execute("DROP TABLE log")
            sqlite_rows.write(db, tables, boot)
            db.execute(f"PRAGMA user_version = {older.VERSION}")
        except BaseException:
            named.rename(path)
            raise
        db.execute("COMMIT")
        named.unlink()


def _take(db: sqlite3.Connection, path: Path, boot: str) -> None:
    """Write the log, and have the version say so; a log that others have left beside it is no one's."""
    of = _boot_of(db, path.with_name(older.NAME))
    tables = sqlite_rows.read(db) if of == boot else Tables()
    atomic.sweep(path)
    named = atomic.beside(path)
    os.close(file.write_new(named, file.whole(boot, tables)[0]))
    try:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            db.execute(f'DROP TABLE "{table}"')
        db.execute(_NOTE)
        db.execute("INSERT INTO log VALUES (?)", (named.name,))
        db.execute(f"PRAGMA user_version = {older.HANDED_ON}")
    except BaseException:
        named.unlink()
        raise
    db.execute("COMMIT")  # whatever is said of it: it may have been


def _put_note(before: Path, path: Path) -> None:
    """On a host without records: what keeps an older build from beginning its own ones beside a log."""
    fresh = atomic.beside(before)
    try:
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with _errors(before):
            db = _connect(fresh)
            try:
                db.execute(f"PRAGMA application_id = {older.APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {older.HANDED_ON}")
                db.execute(_NOTE)
                db.execute("INSERT INTO log VALUES (?)", (atomic.beside(path).name,))
            finally:
                db.close()
        try:
            os.link(fresh, before)
        except FileExistsError:
            return  # somebody made one meanwhile
    finally:
        for suffix in ("", "-journal"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


@contextmanager
def _alone(before: Path) -> Iterator[sqlite3.Connection]:
    """The write lock of sqlite on it, and a transaction that is taken back where nobody ends it."""
    if before.is_file() and not before.stat().st_size:
        raise CniError(Code.IO, f"the state file {before} is empty", older.KEPT)
    with _errors(before):
        db = _connect(before)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
        finally:
            db.close()


@contextmanager
def _errors(before: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as e:
        if getattr(e, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise CniError(Code.TRY_AGAIN, f"the state file {before} was locked for {_BUSY_SECONDS:.0f} s") from e
        raise CniError(Code.IO, f"the state file {before} can't be used: {e}", older.KEPT) from e


def _connect(before: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(before))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _version(db: sqlite3.Connection, before: Path) -> int:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != older.APPLICATION_ID:
        raise CniError(Code.IO, f"{before} is no state file of calico-rkt", older.KEPT)
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (older.VERSION, older.HANDED_ON):
        raise CniError(
            Code.IO, f"the state file {before} has version {found}, this program knows {older.HANDED_ON}", older.KEPT
        )
    return found


def _name(db: sqlite3.Connection, before: Path, path: Path) -> str:
    """What the file is called that is to become the log."""
    names = [name for (name,) in db.execute("SELECT name FROM log")]
    if len(names) != 1 or not atomic.is_left(str(names[0])) or not names[0].startswith(f".{path.name}."):
        raise CniError(Code.IO, f"the state file {before} does not say which log goes on from it", older.KEPT)
    return str(names[0])


def _boot_of(db: sqlite3.Connection, before: Path) -> str:
    """The boot that the records are of; a file that does not say it exactly once is damaged, not old."""
    found = db.execute("SELECT id FROM boot").fetchall()
    if len(found) != 1 or not isinstance(found[0][0], str):
        raise CniError(Code.IO, f"the state file {before} does not say which boot it is of", older.KEPT)
    return found[0][0]
