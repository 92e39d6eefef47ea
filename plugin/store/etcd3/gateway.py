"""Transactions in, what etcd's v3 JSON gateway answered out; connections are kept, and any member will do.

A transaction whose answer got lost is sent again: it may have happened the first time. Its comparisons fail
then, so who writes looks in the answer for what it wanted to write.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd3.http_line import BrokenAnswerError, Line
from calico_rkt.plugin.store.etcd3.ops import Answer, Compare, Op, answer_of
from calico_rkt.plugin.store.members import (
    Members,
    NotNowError,
    UnusableError,
    asks_for_user,
    refuses_request,
    refuses_user,
    tls_files_unusable,
    tls_refusal,
)

_LOGINS = 3
_UNAUTHENTICATED, _UNAVAILABLE, _DEADLINE, _DENIED = 16, 14, 4, 7

_GATEWAYS_SAY = (502, 503, 504)
"""Of a member that whoever stands before it can't reach."""
_BUSY = ("leader", "too many requests")
"""In what etcd says of a request that it has not begun: nobody leads, or it is behind with what it has."""
_STALE = ("invalid auth token", "user name is empty", "revision of auth store is old", "revision in header is old")
"""What etcd says of a token that is none any more: 3.4 and before, and after."""


class Gateway:
    """Transactions with a cluster. Not to be shared between threads. What begins with a call is Members'."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._members = Members(access)
        self._connections: dict[str, Line] = {}
        self._token = ""
        self.begin, self.be_patient = self._members.begin, self._members.be_patient
        self.seconds_left = self._members.seconds_left

    @property
    def connected_since(self) -> float:
        """When the connection was opened that the next request goes over (monotonic); inf where it is a new one."""
        line = self._connections.get(self._members.first)
        return math.inf if line is None or line.is_over() else line.since

    def read(self, *ops: Op) -> Answer:
        """Several gets at one revision."""
        return self.txn((), ops)

    def txn(self, compares: Sequence[Compare], then: Sequence[Op], otherwise: Sequence[Op] = ()) -> Answer:
        """One transaction; found holds a tuple for each get of the branch that ran, in their order."""
        said = self._call("/v3/kv/txn", {"compare": [*compares], "success": [*then], "failure": [*otherwise]})
        try:
            return answer_of(said, compares, then, otherwise)
        except ValueError as e:
            members = ", ".join(self.access.endpoints)
            raise CniError(Code.DATASTORE, f"{members}: the answer to a transaction is none of etcd's", str(e)) from e

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the first member says that can answer."""

        def ask(member: str, seconds: float) -> dict[str, Any]:
            try:
                return self._ask_as_ourselves(member, path, body, seconds)
            except (OSError, BrokenAnswerError, NotNowError) as e:
                self._drop(member)
                if isinstance(e, NotNowError):
                    raise
                refused = isinstance(e, ConnectionRefusedError)
                words = str(e.strerror or e) if isinstance(e, ConnectionRefusedError) else str(e)
                raise tls_refusal(member, e) or NotNowError(words or type(e).__name__, refused=refused) from e

        return self._members.first_answer(ask)

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
        raise refuses_user(member, words)

    def _log_in(self, member: str, seconds: float) -> str:
        self._token = ""
        if self.access.problem:
            raise CniError(Code.INVALID_CONF, self.access.problem)
        if not self.access.user:
            raise asks_for_user(member)
        given = {"name": self.access.user, "password": self.access.password}
        return str(self._ask(member, "/v3/auth/authenticate", given, seconds).get("token", ""))

    def _ask(self, member: str, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        connection = self._connected(member, seconds)
        headers = {"Content-Type": "application/json", **({"Authorization": self._token} if self._token else {})}
        status, data = connection.post(path, json.dumps(body).encode(), headers, seconds)
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            if status in _GATEWAYS_SAY:
                raise NotNowError(f"status {status}")
            raise UnusableError(Code.DATASTORE, f"{member} is no etcd: {path} gave status {status}")
        if status != 200:
            _raise(member, status, said)
        return said

    def _connected(self, member: str, seconds: float) -> Line:
        """The kept connection, or a new one."""
        connection = self._connections.get(member)
        if connection is not None:
            if not connection.is_over():
                return connection
            connection.close()
        tls = _tls(self.access) if member.startswith("https:") else None
        connection = self._connections[member] = Line(member, seconds, tls)
        return connection

    def _drop(self, member: str) -> None:
        connection = self._connections.pop(member, None)
        if connection is not None:
            connection.close()


class _ExpiredError(Exception):
    """The token is none, or no more."""


def _raise(member: str, status: int, said: Mapping[str, Any]) -> None:
    """The error that a gateway's answer means (grpc status codes)."""
    code, words = said.get("code"), str(said.get("message") or said.get("error") or f"status {status}")
    if any(stale in words for stale in _STALE) or code == _UNAUTHENTICATED:
        raise _ExpiredError(words)
    if code == 9 and "authentication is not enabled" in words:
        raise CniError(Code.DATASTORE, f"etcd at {member} has no authentication, but a user is named", words)
    if code in (_UNAVAILABLE, _DEADLINE) or status in _GATEWAYS_SAY or any(busy in words for busy in _BUSY):
        raise NotNowError(words)
    if code == _DENIED or "authentication failed" in words:
        raise refuses_user(member, words)
    raise refuses_request(member, words)


def _tls(access: Access) -> Any:  # noqa: ANN401 - ssl is imported where TLS is used
    import ssl

    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
        if access.cert_file:
            context.load_cert_chain(access.cert_file, access.key_file)
    except OSError as e:
        named = ", ".join(f for f in (access.ca_file, access.cert_file, access.key_file) if f)
        raise tls_files_unusable(named, e) from e
    return context
