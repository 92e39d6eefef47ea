"""Reads and compared writes of single keys in, what etcd's v2 API answered out; any member of the cluster will do.

python-etcd speaks the protocol, one client a member. Going from member to member, and how long all of it may take,
is decided here: its own way of reconnecting asks etcd for members that the conf does not name, without a limit in time.

A write whose answer got lost is sent again and may find that it has happened. It then counts as done when what it
wanted to write stands there; every value that somebody could take for another's has a nonce in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.access import PATIENCE, Access
from calico_rkt.plugin.store.etcd2.library import etcd
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

_SHOWN = 200
_NOT_IT = (etcd.EtcdCompareFailed, etcd.EtcdKeyNotFound)
_NOT_NOW = (300, 301)
"""etcd's error codes for a cluster that can't answer at the moment: no quorum, no leader."""


@dataclass(frozen=True, slots=True)
class Etcd2Node:
    """One key as etcd has it; index is its modifiedIndex, created its createdIndex."""

    key: str
    value: str
    index: int
    created: int

    @property
    def name(self) -> str:
        """The key's last part."""
        return self.key.rpartition("/")[2]


class _Member(etcd.Client):  # type: ignore[misc]  # python-etcd has no types
    """One member. No layer below repeats or redirects a request, which would hide what happened."""

    def __init__(self, url: str, access: Access) -> None:
        self.seconds = PATIENCE
        where = urlsplit(url)
        super().__init__(
            host=f"[{where.hostname}]" if ":" in (where.hostname or "") else where.hostname,
            port=where.port,
            protocol=where.scheme,
            cert=(access.cert_file, access.key_file) if access.cert_file else None,
            ca_cert=access.ca_file or None,
            username=access.user or None,
            password=access.password or None,
            allow_redirect=False,
        )
        self.http.connection_pool_kw["retries"] = False

    @property
    def read_timeout(self) -> urllib3.Timeout:
        """What each request may take, connecting included."""
        return urllib3.Timeout(total=self.seconds)


class Client:
    """Single keys of a cluster. Not to be shared between threads; begin() and be_patient() are Members'."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._members = Members(access)
        self._clients = {url: _Member(url, access) for url in access.endpoints}
        self._uncertain = False
        self._checked = False
        self.begin, self.be_patient = self._members.begin, self._members.be_patient

    def get(self, key: str) -> Etcd2Node | None:
        """One key, as the cluster's majority has it."""
        return next((n for n in self._read(key) if n.key == key), None)

    def tree(self, key: str) -> tuple[Etcd2Node, ...]:
        """Every key below a folder, sorted; none where there is no such folder."""
        return tuple(sorted(self._read(key, recursive=True), key=lambda n: n.key))

    def listing(self, key: str) -> tuple[Etcd2Node, ...]:
        """The keys in a folder, in no order, without those of folders in it."""
        return tuple(self._read(key))

    def create(self, key: str, value: str) -> bool:
        """Write a key that must not exist; False where it does, with another value."""
        try:
            self._call(lambda m: m.write(quote(key), value, prevExist=False), etcd.EtcdAlreadyExist)
        except etcd.EtcdAlreadyExist:
            return self._stands(key, value)
        return True

    def swap(self, key: str, old: str, new: str) -> bool:
        """Write a key that has the value old; False where it has not, or is not there."""
        try:
            self._call(lambda m: m.write(quote(key), new, prevValue=old), *_NOT_IT)
        except _NOT_IT:
            return self._stands(key, new)
        return True

    def delete(self, node: Etcd2Node) -> bool:
        """Delete a key that is still as it was read."""
        try:
            self._call(lambda m: m.delete(quote(node.key), prevIndex=node.index), *_NOT_IT)
        except etcd.EtcdCompareFailed:
            return False
        except etcd.EtcdKeyNotFound:
            return self._uncertain
        return True

    def delete_value(self, key: str, value: str) -> bool:
        """Delete a key that has this value; False where it has not, or is not there."""
        try:
            self._call(lambda m: m.delete(quote(key), prevValue=value), *_NOT_IT)
        except etcd.EtcdCompareFailed:
            return False
        except etcd.EtcdKeyNotFound:
            return self._uncertain
        return True

    def delete_folder(self, key: str) -> None:
        """Delete a folder if it is there and empty."""
        stays = etcd.EtcdKeyNotFound, etcd.EtcdDirNotEmpty
        with suppress(*stays):
            self._call(lambda m: m.delete(quote(key), dir=True), *stays)

    def close(self) -> None:
        for client in self._clients.values():
            client.http.clear()

    def _read(self, key: str, *, recursive: bool = False) -> Iterator[Etcd2Node]:
        def ask(member: _Member) -> list[Etcd2Node]:
            return _nodes(member.read(quote(key), quorum=True, recursive=recursive))

        with suppress(etcd.EtcdKeyNotFound):
            yield from self._call(ask, etcd.EtcdKeyNotFound)

    def _stands(self, key: str, value: str) -> bool:
        """Whether a write that was answered with a refusal had happened before, its answer lost."""
        if not self._uncertain:
            return False
        found = self.get(key)
        return found is not None and found.value == value

    def _call(self, ask: Callable[[_Member], Any], *expected: type[Exception]) -> Any:  # noqa: ANN401 - no types
        """What the first member says that can answer; refusals that are expected of etcd are its exceptions."""
        if not self._checked:
            _check_files(self.access)
            self._checked = True
        self._uncertain = False

        def asked(url: str, seconds: float) -> Any:  # noqa: ANN401 - as above
            self._clients[url].seconds = seconds
            try:
                return self._ask(url, ask)
            except NotNowError as e:
                self._uncertain = self._uncertain or not e.refused
                raise

        try:
            return self._members.first_answer(asked)
        except etcd.EtcdException as e:
            if isinstance(e, expected):
                raise
            raise refuses_request(", ".join(self.access.endpoints), str(e)) from e

    def _ask(self, url: str, ask: Callable[[_Member], Any]) -> Any:  # noqa: ANN401 - as above
        """One request to one member."""
        try:
            return ask(self._clients[url])
        except etcd.EtcdConnectionFailed as e:
            refusal = tls_refusal(url, e.cause) if e.cause is not None else None
            raise refusal or NotNowError(_words(e.cause), refused=_is_refusal(e.cause)) from e
        except etcd.EtcdClusterIdChanged as e:
            raise NotNowError(str(e)) from e
        except etcd.EtcdInsufficientPermissions as e:
            if not self.access.user:
                raise asks_for_user(url) from e
            raise refuses_user(url, "wrong password, or no permission for what is below /calico") from e
        except (etcd.EtcdKeyNotFound, etcd.EtcdAlreadyExist, etcd.EtcdCompareFailed, etcd.EtcdDirNotEmpty):
            raise
        except etcd.EtcdException as e:
            payload = e.payload or {}
            if payload.get("errorCode") in _NOT_NOW or payload.get("status") in (502, 503, 504):
                raise NotNowError(str(e)) from e
            if payload.get("message") == "Bad response":
                raise UnusableError(
                    Code.DATASTORE,
                    f"{url} does not serve etcd's v2 API",
                    f"start etcd with --enable-v2; it answered: {str(payload.get('cause', ''))[:100].strip()}",
                ) from e
            raise refuses_request(url, str(e)) from e
        except (LookupError, TypeError, ValueError, AttributeError) as e:
            raise CniError(
                Code.DATASTORE, f"{url} answers in another shape than etcd's v2 API has", f"{type(e).__name__}: {e}"
            ) from e


def _nodes(found: Any) -> list[Etcd2Node]:  # noqa: ANN401 - python-etcd has no types
    """The keys of an answer, those of folders left out; TypeError where one is none of etcd's."""
    nodes = [Etcd2Node(n.key, n.value or "", n.modifiedIndex, n.createdIndex) for n in found.leaves if not n.dir]
    for node in nodes:
        if not (isinstance(node.key, str) and isinstance(node.value, str)):
            raise TypeError(f"key {node.key!r} with value {node.value!r}"[:_SHOWN])
        if not (isinstance(node.index, int) and isinstance(node.created, int)):
            raise TypeError(f"key {node.key} with the indexes {node.index!r} and {node.created!r}"[:_SHOWN])
    return nodes


def _is_refusal(cause: Exception | None) -> bool:
    found: object = cause
    while isinstance(found, BaseException):
        if isinstance(found, ConnectionRefusedError):
            return True
        found = found.__cause__
    return False


def _words(cause: Exception | None) -> str:
    """What went wrong, without the names of Python's objects that urllib3 puts in front."""
    if _is_refusal(cause):
        return "Connection refused"
    if isinstance(cause, urllib3.exceptions.TimeoutError):
        return "timed out"
    return str(cause).rpartition(">: ")[2] or type(cause).__name__


def _check_files(access: Access) -> None:
    """CniError for a file that can't be read: python-etcd opens it with the first request, over and over."""
    if access.problem:
        raise CniError(Code.INVALID_CONF, access.problem)
    for file in filter(None, (access.ca_file, access.cert_file, access.key_file)):
        try:
            Path(file).read_bytes()
        except OSError as e:
            raise tls_files_unusable(file, e) from e
