"""A path in, transactions on the sqlite file there out; whatever is wrong with the file is one clear CniError."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from calico_rkt.compiler import atomic
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store import addresses

log = logging.getLogger(__name__)

APPLICATION_ID = 0x63726B74
SCHEMA_VERSION = 1
_BUSY_SECONDS = 30.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ADDED = {
    "guards": "network TEXT, net TEXT, PRIMARY KEY (network, net)",
    "guarded": "network TEXT PRIMARY KEY, key TEXT NOT NULL",
    "flows_left": "address TEXT PRIMARY KEY",
    "flows_unsure": "net TEXT PRIMARY KEY",
    "origins": (
        "network TEXT, container TEXT, ifname TEXT, nonce TEXT, home_dev INTEGER, home_inode INTEGER, "
        "members TEXT, node TEXT, PRIMARY KEY (network, container, ifname)"
    ),
}
"""Tables that a file of this version may lack: an older program made it. It never looks at them."""
_TABLES = ("endpoints", "addresses", "used", "cursors", "subnets", *_ADDED)
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
BEGIN;
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
{addresses.SCHEMA}
COMMIT;
"""
_KEPT = "it is left as it is, since it says which addresses are in use; move it away when no container is attached"


class StateFile:
    """The state file of this host, opened when it is first needed, usable from any thread.

    It belongs to one boot: containers don't outlive a reboot, and where /run does, the records of an earlier boot
    are dropped. A file that is damaged, foreign or of another version is never replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._identity = (0, 0, 0)
        self._left = (0, 0, 0)
        """How the file was when this process had written to it: what it knows of its pages is true until it changes."""

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that changes something: all of it, or on any error nothing."""
        with self._alone(), self._errors():
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                self._check_version(db)
                yield db
                db.execute("COMMIT")
                self._left = self._as_left()
            except BaseException:
                # A full disk makes sqlite roll back by itself.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One view of the file that later writes don't change."""
        with self._alone(), self._errors():
            db = self._open()
            db.execute("BEGIN")
            try:
                self._check_version(db)
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._lock:
            self._close()

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is at path now: it may have been removed behind a long-lived agent."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._create()
            stat = self.path.stat()
        if not stat.st_size:
            raise CniError(Code.IO, f"the state file {self.path} is empty", _KEPT)
        self._check_folder()
        identity = (os.getpid(), stat.st_dev, stat.st_ino)
        if self._db is not None and identity == self._identity:
            if _stamp(stat) != self._left:
                self._db.execute("PRAGMA shrink_memory")  # what is on disk counts, not what was read of it before
            return self._db
        self._close()
        self._db = _connect(self.path)
        self._identity = identity
        try:
            self._check(self._db)
            _add_tables(self._db)
            self._forget_other_boots(self._db)
        except BaseException:
            self._close()
            raise
        return self._db

    def _as_left(self) -> tuple[int, int, int]:
        try:
            return _stamp(self.path.stat())
        except OSError:
            return 0, 0, 0

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _create(self) -> None:
        """Make the file beside its place and put it there whole: nobody ever sees it half made."""
        atomic.make_folder(self.path.parent, 0o700)
        self._check_folder()
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            db = _connect(fresh)
            try:
                db.executescript(_SCHEMA)
                db.execute("INSERT INTO boot VALUES (?)", (boot_id(),))
            finally:
                db.close()
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                log.debug("%s was made by somebody else meanwhile", self.path)
        finally:
            for suffix in ("", "-journal"):
                fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)

    def _check_folder(self) -> None:
        stat = self.path.parent.stat()
        if stat.st_uid != os.geteuid() or stat.st_mode & 0o022:
            raise CniError(
                Code.IO,
                f"others may write to {self.path.parent}, which holds the state file",
                f"chown root {self.path.parent} && chmod 700 {self.path.parent}",
            )

    def _check(self, db: sqlite3.Connection) -> None:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise CniError(Code.IO, f"{self.path} is no state file of calico-rkt", _KEPT)
        self._check_version(db)

    def _check_version(self, db: sqlite3.Connection) -> None:
        """Asked in each transaction, since a newer program may have come while this one runs."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise CniError(
                Code.IO, f"the state file {self.path} has version {version}, this program knows {SCHEMA_VERSION}", _KEPT
            )

    def _forget_other_boots(self, db: sqlite3.Connection) -> None:
        """Drop the records of an earlier boot.

        Looked at again in the transaction that drops: of calls that come at once after a boot, another one may have
        dropped them and recorded its own by then.
        """
        boot = boot_id()
        if self._boot_of(db) == boot:
            return
        db.execute("BEGIN IMMEDIATE")
        if self._boot_of(db) != boot:
            log.info("%s is of an earlier boot: its records are dropped", self.path)
            for table in _TABLES:
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            db.execute("UPDATE boot SET id = ?", (boot,))
        db.execute("COMMIT")

    def _boot_of(self, db: sqlite3.Connection) -> str:
        """The boot that the records are of; a file that does not say it exactly once is damaged, not old."""
        found = db.execute("SELECT id FROM boot").fetchall()
        if len(found) != 1 or not isinstance(found[0][0], str):
            raise CniError(Code.IO, f"the state file {self.path} does not say which boot it is of", _KEPT)
        return found[0][0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The turn of this thread; nobody waits longer for it than one waits for another process."""
        if not self._lock.acquire(timeout=_BUSY_SECONDS):
            raise self._locked()
        try:
            yield
        finally:
            self._lock.release()

    def _locked(self) -> CniError:
        return CniError(Code.TRY_AGAIN, f"the state file {self.path} was locked for {_BUSY_SECONDS:.0f} s")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise self._locked() from e
            self._close()
            raise CniError(Code.IO, f"the state file {self.path} can't be used: {e}", _KEPT) from e
        except OSError as e:
            raise CniError(Code.IO, f"the state file {self.path} can't be used: {e.strerror or e}") from e


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _add_tables(db: sqlite3.Connection) -> None:
    if db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (next(reversed(_ADDED)),)).fetchone() == (0,):
        made = (f"CREATE TABLE IF NOT EXISTS {name} ({columns}) WITHOUT ROWID;" for name, columns in _ADDED.items())
        db.executescript(f"BEGIN IMMEDIATE; {' '.join(made)} COMMIT;")


_warm: dict[Path, StateFile] = {}
_warm_lock = threading.Lock()


def warm(path: Path) -> StateFile:
    """The one StateFile of this process for a path, which stays open between calls.

    Threads wait for each other at its lock, in turn; with connections of their own they would wait in sqlite, which
    sleeps and looks again.
    """
    found = _warm.get(path)
    if found is not None:
        return found
    with _warm_lock:
        return _warm.setdefault(path, StateFile(path))


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing file; isolation_level None leaves transactions to us, and a lock of our own the threads.

    A journal that stays: no files made and removed in each transaction, and on a full disk the room that giving an
    address back needs is there already. (A WAL's shared memory is mapped, which a full tmpfs answers with SIGBUS.)
    """
    uri = f"file:{quote(str(path))}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = PERSIST")
    except BaseException:
        db.close()
        raise
    return db


def boot_id() -> str:
    """The kernel's id of this boot."""
    return _BOOT_ID.read_text().strip()
