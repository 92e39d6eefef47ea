"""Transactions in, what etcd's v3 JSON gateway answered out; connections are kept, and any member will do.

A transaction whose answer got lost is sent again: it may have happened the first time. Its comparisons fail
then, so who writes looks in the answer for what it wanted to write.
"""

from __future__ import annotations

import json
import socket
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.access import PATIENCE, Access, UnreachableError

_REFUSED_FOR = 2.0
"""Seconds after which members that all refuse to talk are not asked again."""
_PAUSE = 0.05
_LOGINS = 3
_UNAUTHENTICATED, _UNAVAILABLE, _DEADLINE, _DENIED = 16, 14, 4, 7

_STALE = ("invalid auth token", "user name is empty", "revision of auth store is old", "revision in header is old")
"""What etcd says of a token that is none any more: 3.4 and before, and after."""

Op = Mapping[str, Any]
Compare = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kv:
    """One key as etcd has it; revision is its mod_revision."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a transaction gave: whether its comparisons held, the keys each get found, and the revision of it all."""

    succeeded: bool
    found: tuple[tuple[Kv, ...], ...]
    revision: int


def get(key: str, *, keys_only: bool = False) -> Op:
    """Read one key."""
    return {"request_range": {"key": _encode(key), "keys_only": keys_only}}


def get_prefix(prefix: str, *, keys_only: bool = False) -> Op:
    """Read every key that begins so, in their order."""
    ends = {"key": _encode(prefix), "range_end": _encode(_behind(prefix))}
    return {"request_range": {**ends, "keys_only": keys_only, "sort_target": "KEY", "sort_order": "ASCEND"}}


def put(key: str, value: bytes) -> Op:
    return {"request_put": {"key": _encode(key), "value": b64encode(value).decode()}}


def delete(key: str) -> Op:
    return {"request_delete_range": {"key": _encode(key)}}


def absent(key: str) -> Compare:
    return {"key": _encode(key), "target": "VERSION", "result": "EQUAL", "version": "0"}


def exists(key: str) -> Compare:
    return {"key": _encode(key), "target": "VERSION", "result": "GREATER", "version": "0"}


def unchanged(key: str, revision: int) -> Compare:
    """Whether the key still has this mod_revision; 0 is a key that is not there."""
    return {"key": _encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def untouched_since(prefix: str, revision: int) -> Compare:
    """Whether no key that begins so was written after this revision."""
    ends = {"key": _encode(prefix), "range_end": _encode(_behind(prefix))}
    return {**ends, "target": "MOD", "result": "LESS", "mod_revision": str(revision + 1)}


class Gateway:
    """A cluster's members, of which the one that answered last is asked first. Not to be shared between threads.

    begin() starts the clock of a call.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._members = list(access.endpoints)
        self._connections: dict[str, HTTPConnection] = {}
        self._token = ""
        self._until = 0.0
        self.begin()

    def begin(self, seconds: float = PATIENCE) -> None:
        """All requests from here on have this many seconds together."""
        self._until = time.monotonic() + seconds

    def seconds_left(self) -> float:
        """How long this call may still take."""
        return max(0.0, self._until - time.monotonic())

    def read(self, *ops: Op) -> Answer:
        """Several gets at one revision."""
        return self.txn((), ops)

    def txn(self, compares: Iterable[Compare], then: Sequence[Op], otherwise: Sequence[Op] = ()) -> Answer:
        """One transaction; found holds a tuple for each get of the branch that ran, in their order."""
        said = self._call("/v3/kv/txn", {"compare": [*compares], "success": [*then], "failure": [*otherwise]})
        ranges = [r["response_range"] for r in said.get("responses", ()) if "response_range" in r]
        found = tuple(tuple(_kv(kv) for kv in r.get("kvs", ())) for r in ranges)
        return Answer(bool(said.get("succeeded")), found, int(said.get("header", {}).get("revision", 0)))

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask one member after the other until one answers or time is up."""
        begun = time.monotonic()
        problems: dict[str, str] = {}
        while True:
            refused = True
            for member in tuple(self._members):
                left = self._until - time.monotonic()
                if left <= 0:
                    break
                try:
                    said = self._ask_as_ourselves(member, path, body, max(left / len(self._members), 1.0))
                except ConnectionRefusedError as e:
                    problems[member] = e.strerror or str(e)
                except (OSError, HTTPException, _NotNowError) as e:
                    _raise_tls(member, e)
                    problems[member] = str(e) or type(e).__name__
                    refused = False
                else:
                    self._members.remove(member)
                    self._members.insert(0, member)
                    return said
                self._drop(member)
                LOG.info("etcd %s: %s", member, problems[member])
            now = time.monotonic()
            if now + _PAUSE >= self._until or (refused and now - begun > _REFUSED_FOR):
                raise UnreachableError(
                    Code.TRY_AGAIN,
                    f"no etcd member answers: {', '.join(self.access.endpoints)}",
                    "\n".join(f"{m}: {problems.get(m, 'not asked: time was up')}" for m in self.access.endpoints),
                )
            time.sleep(_PAUSE)

    def _ask_as_ourselves(self, member: str, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """One request, logged in where a user is named.

        A token may have expired, or be of before a change of users or roles, and each version of etcd has words of
        its own for that: whatever a kept token is refused with, the request is made once more with a new one.
        """
        if self.access.user and self._token:
            try:
                return self._ask(member, path, body, seconds)
            except (_ExpiredError, CniError) as e:
                LOG.info("etcd %s: %s: logging in again", member, e)
        for _ in range(_LOGINS):
            if self.access.user:
                self._token = self._log_in(member, seconds)
            try:
                return self._ask(member, path, body, seconds)
            except _ExpiredError as e:  # somebody changed users or roles since
                words = str(e)
            if not self.access.user:
                self._log_in(member, seconds)
        raise CniError(Code.DATASTORE, f"etcd at {member} refuses this user: {words}")

    def _log_in(self, member: str, seconds: float) -> str:
        self._token = ""
        if self.access.problem:
            raise CniError(Code.INVALID_CONF, self.access.problem)
        if not self.access.user:
            raise CniError(Code.DATASTORE, f"etcd at {member} asks for a user: set etcd_username or ETCD_USERNAME")
        given = {"name": self.access.user, "password": self.access.password}
        return str(self._ask(member, "/v3/auth/authenticate", given, seconds).get("token", ""))

    def _ask(self, member: str, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        connection = self._connected(member, seconds)
        headers = {"Content-Type": "application/json", **({"Authorization": self._token} if self._token else {})}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        data = response.read()
        try:
            said = json.loads(data)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise CniError(Code.DATASTORE, f"{member} is no etcd: {path} gave status {response.status}")
        if response.status != 200:
            _raise(member, response.status, said)
        return said

    def _connected(self, member: str, seconds: float) -> HTTPConnection:
        """The kept connection, with its time limit renewed, or a new one."""
        connection = self._connections.get(member)
        if connection is not None and connection.sock is not None:
            if _closed(connection.sock):
                connection.close()
            else:
                connection.sock.settimeout(seconds)
                return connection
        where = urlsplit(member)
        host = where.hostname or ""
        if where.scheme == "https":
            connection = HTTPSConnection(host, where.port, timeout=seconds, context=_tls(self.access))
        else:
            connection = HTTPConnection(host, where.port, timeout=seconds)
        self._connections[member] = connection
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _drop(self, member: str) -> None:
        connection = self._connections.pop(member, None)
        if connection is not None:
            connection.close()
        if self._members[0] == member:
            self._members.append(self._members.pop(0))


class _NotNowError(Exception):
    """A member answers that it can't at the moment: no leader, time out, not ready."""


class _ExpiredError(Exception):
    """The token is none, or no more."""


def _raise(member: str, status: int, said: Mapping[str, Any]) -> None:
    """The error that a gateway's answer means (grpc status codes)."""
    code, words = said.get("code"), str(said.get("message") or said.get("error") or f"status {status}")
    if any(stale in words for stale in _STALE) or code == _UNAUTHENTICATED:
        raise _ExpiredError(words)
    if code == 9 and "authentication is not enabled" in words:
        raise CniError(Code.DATASTORE, f"etcd at {member} has no authentication, but a user is named", words)
    if code in (_UNAVAILABLE, _DEADLINE) or status in (502, 503, 504) or "leader" in words:
        raise _NotNowError(words)
    if code == _DENIED or "authentication failed" in words:
        raise CniError(Code.DATASTORE, f"etcd at {member} refuses this user: {words}")
    raise CniError(Code.DATASTORE, f"etcd at {member} refuses a request: {words}")


def _raise_tls(member: str, error: Exception) -> None:
    """CniError where both ends disagree about TLS: asking again helps nothing."""
    # By name: ssl is imported only where TLS is used.
    if type(error).__name__ == "SSLCertVerificationError":
        raise CniError(Code.DATASTORE, f"the certificate of {member} is not trusted", str(error)) from error
    if type(error).__name__ == "SSLError":
        raise CniError(Code.DATASTORE, f"{member} and this host find no way to talk by TLS", str(error)) from error


def _tls(access: Access) -> Any:  # noqa: ANN401 - ssl is imported where TLS is used
    import ssl

    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
        if access.cert_file:
            context.load_cert_chain(access.cert_file, access.key_file)
    except OSError as e:
        named = ", ".join(f for f in (access.ca_file, access.cert_file, access.key_file) if f)
        raise CniError(Code.INVALID_CONF, f"the TLS files of etcd can't be used: {named}", str(e)) from e
    return context


def _closed(sock: socket.socket) -> bool:
    """Whether the other end has closed a kept connection meanwhile: an idle one has nothing to read."""
    sock.settimeout(0)
    try:
        return not sock.recv(1, socket.MSG_PEEK) if not hasattr(sock, "context") else _closed_tls(sock)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def _closed_tls(sock: Any) -> bool:  # noqa: ANN401 - ssl is imported where TLS is used
    import select

    return bool(select.select([sock], [], [], 0)[0])


def _kv(given: Mapping[str, Any]) -> Kv:
    return Kv(b64decode(given["key"]).decode(), b64decode(given.get("value", "")), int(given["mod_revision"]))


def _encode(key: str) -> str:
    return b64encode(key.encode()).decode()


def _behind(prefix: str) -> str:
    """The first key behind all that begin with prefix, whose last character is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
